//! Other processes: the test's own program again, told what to do over a socket.
