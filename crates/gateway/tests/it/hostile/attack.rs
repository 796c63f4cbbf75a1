//! What all attacks share: foreign sockets, chance that repeats, and breath between bursts.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// Another address than the good callers': limits per source are the attacker's own.
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Chance that is the same in every run (xorshift64).
pub struct Chance(u64);

impl Chance {
    pub fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % bound
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    /// The bytes with some of them changed, cut out or repeated.
    pub fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..1 + self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(4) {
                0 => bytes.truncate(at),
                1 => bytes.extend_from_within(at..bytes.len().min(at + 64)),
                2 => bytes.insert(at, self.below(256) as u8),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = byte.wrapping_add(1)),
            }
        }
        bytes
    }
}

/// A socket for datagrams; answers to it are read by [`breathe`].
pub fn datagrams() -> UdpSocket {
    let socket = UdpSocket::bind((ATTACKER, 0)).unwrap();
    socket.set_read_timeout(Some(BREATH)).unwrap();
    socket
}

/// A connection, or `None` where it is refused.
pub fn connect(to: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((ATTACKER, 0)).into()).unwrap();
    socket.connect_timeout(&to.into(), Duration::from_secs(1)).ok()?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(BREATH)).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    Some(stream)
}

/// Sends everything, unless the other end does not want it, and reads what comes back within a breath.
pub fn send(stream: &mut TcpStream, bytes: &[u8]) {
    if stream.write_all(bytes).is_ok() {
        read(stream);
    }
}

/// Reads what comes within a breath. `false` once the other end has closed.
pub fn read(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 4_096];
    match stream.read(&mut answer) {
        Ok(length) => length > 0,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Reads answers until none comes for a breath, or for ten of them.
pub fn breathe(socket: &UdpSocket) {
    let end = Instant::now() + 10 * BREATH;
    let mut answer = [0; 2_048];
    while socket.recv(&mut answer).is_ok() && Instant::now() < end {}
}

/// The inputs in a folder of this repository, in the order of their names.
pub fn inputs(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// The pause between two bursts.
const BREATH: Duration = Duration::from_millis(10);
