from harness.probes.exposition import samples, total

PAGE = """\
# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{service="a",path="/x{y}\\"\\n"} 3
calls_total{service="b"} 4 1795223847600
duration_bucket{le="+Inf"} 1 # {span_id="858b",trace_id="18f0"} 0.25 1.795e+09
up 1
bare_total 2.5e+1
none NaN
# EOF
"""


def test_labels_are_read_whatever_stands_in_them() -> None:
    first, second = samples(PAGE, "calls_total")
    assert (first.labels, first.value) == ({"service": "a", "path": '/x{y}"\n'}, 3.0)
    assert (second.labels, second.value) == ({"service": "b"}, 4.0)


def test_an_exemplar_is_read_and_its_absence_is_empty() -> None:
    (bucket,) = samples(PAGE, "duration_bucket")
    assert bucket.exemplar == {"span_id": "858b", "trace_id": "18f0"}
    assert (bucket.value, samples(PAGE, "up")[0].exemplar) == (1.0, {})


def test_a_counter_is_found_with_and_without_its_suffix() -> None:
    assert samples(PAGE, "bare") == samples(PAGE, "bare_total")
    assert total(PAGE, "bare") == 25.0
    assert samples(PAGE, "bar") == []


def test_labels_select_and_what_never_counted_is_zero() -> None:
    assert total(PAGE, "calls") == 7.0
    assert total(PAGE, "calls", service="b") == 4.0
    assert total(PAGE, "calls", service="c") == 0.0


def test_without_a_name_every_sample_is_there() -> None:
    assert len(samples(PAGE)) == 6
