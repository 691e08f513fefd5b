"""What holds for every test."""

import signal

# A suite that was started in the background ignores Ctrl-C, and so would each program it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
