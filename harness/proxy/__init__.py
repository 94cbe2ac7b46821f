"""A TCP fault proxy that speaks Toxiproxy's HTTP API and toxics, in asyncio. Imports nothing else of the harness.

    client <-> Link(Endpoint, Pipe of Stages up, Pipe of Stages down, Endpoint) <-> upstream

A `Collection` holds named proxies; a `Proxy` listens and makes a `Link` per connection; a link has a `Pipe` for each
direction; a pipe runs a chain of `Stage`s, one per toxic that struck this connection, and is a plain copy without any.
Run it with `python -m harness.proxy`.

What differs from Toxiproxy 2.12, each on purpose:

- Changing toxics is one synchronous step, so nothing can wedge, and a stage's queue moves on in order: removing
  latency, bandwidth, slicer, slow_close or a reset_peer that has not fired yet delivers every held byte. Removing a
  `timeout` toxic closes its connections, as upstream does, because the stream already has a hole.
- Updating a toxic judges what it holds by the new settings; upstream lets the held chunk go at once.
- `toxicity` is drawn once per toxic and connection, from the seed. Other toxics coming and going change no draw.
- `reset_peer` sends RST on every connection, also on one opened before the toxic.
- One direction may end while the other goes on (half-close). A toxic that ends a stream closes the connection.
- A slow dial delays only its own client. A failed one closes the client after accepting it, as upstream does.
- Input is validated: unknown attributes, negative numbers, toxicity outside 0..1, a slicer that could never cut,
  malformed addresses, and names with a slash, which no request could reach again.
- Byte counters move while bytes do, not when the connection ends, and `/metrics` is always there.
- `/populate` checks every entry before it touches anything; `/reset` removes all toxics even if a proxy cannot listen.
- Listening anywhere but on loopback is refused unless the server was started with `--allow-remote`.
"""
