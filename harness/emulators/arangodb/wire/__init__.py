"""The HTTP side: requests in, the server's state asked, replies out. One module per part of the API."""
