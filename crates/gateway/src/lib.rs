//! The shell: sockets, time, files, HTTP and the command line around `patchcord-core`.
