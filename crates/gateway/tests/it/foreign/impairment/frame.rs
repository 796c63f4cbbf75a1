//! Frames of µ-law that carry their number, so that every end knows which of them it hears, whole and in order.

/// The frame of that number, 20 ms.
pub fn numbered(number: u16) -> [u8; 160] {
    let mut payload = [FILL; 160];
    for (at, digit) in payload.iter_mut().take(DIGITS).enumerate() {
        *digit = DIGIT | (number >> (12 - 4 * at)) as u8 & 0x0F;
    }
    payload
}

/// Looks for whole frames in a stream of audio, wherever they begin.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Digits of the number, and bytes after them, that were read so far.
    digits: usize,
    fill: usize,
    number: u16,
    last: Option<u16>,
    /// How many were whole.
    pub whole: u64,
    /// How many of these came again, or after one that was sent later.
    pub astray: u64,
}

impl Numbers {
    /// Takes what comes next.
    pub fn hear(&mut self, audio: &[u8]) {
        for byte in audio {
            if byte & 0xF0 == DIGIT {
                if self.digits == DIGITS {
                    (self.digits, self.number) = (0, 0);
                }
                (self.digits, self.fill) = (self.digits + 1, 0);
                self.number = self.number << 4 | u16::from(byte & 0x0F);
            } else if *byte == FILL && self.digits == DIGITS {
                self.fill += 1;
                if self.fill == 160 - DIGITS {
                    self.conclude();
                }
            } else {
                (self.digits, self.fill, self.number) = (0, 0, 0);
            }
        }
    }

    fn conclude(&mut self) {
        let number = self.number;
        (self.digits, self.fill, self.number) = (0, 0, 0);
        self.whole += 1;
        self.astray += u64::from(self.last.is_some_and(|last| number <= last));
        self.last = self.last.max(Some(number));
    }
}

/// Both far from µ-law's silence.
const FILL: u8 = 0x21;
const DIGIT: u8 = 0x30;

/// Hexadecimal digits of a number.
const DIGITS: usize = 4;
