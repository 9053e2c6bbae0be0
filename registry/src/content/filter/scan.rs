//! The words of a filter. Total: any text is words or an error.

/// A word.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    End,
    Field(&'a str),
    Value(&'a str),
    /// What stood between quotes, and which they were.
    Quoted(char, Vec<u8>),
    Operator(&'a str),
    /// `,` or `.`
    Separator,
    /// A character that begins no word.
    Other,
}

/// Takes a filter apart from the front.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Whether an operator was read, and a value is next.
    after_operator: bool,
}

/// Why a filter is none.
pub(super) type Fault = &'static str;

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, after_operator: false }
    }

    /// Where the next character stands.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// What was read since `from`, and what follows of the same kind.
    fn run(&mut self, from: usize, belongs: impl Fn(char) -> bool) -> &'a str {
        while self.peek().is_some_and(&belongs) {
            self.next();
        }
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// The next word; spaces before it are passed over.
    pub(super) fn token(&mut self) -> Result<Token<'a>, Fault> {
        let first = loop {
            match self.next() {
                None => return Ok(Token::End),
                Some(space) if space.is_whitespace() => {}
                Some(other) => break other,
            }
        };
        let from = self.at - first.len_utf8();
        Ok(match first {
            '\0' | char::REPLACEMENT_CHARACTER => return Err("a character that no text has"),
            '"' | '/' | '|' => Token::Quoted(first, self.quoted(first)?),
            ',' | '.' => {
                self.after_operator = false;
                Token::Separator
            }
            '=' | '!' | '~' => {
                self.after_operator = true;
                Token::Operator(self.run(from, |next| matches!(next, '=' | '!' | '~')))
            }
            _ if self.after_operator => {
                self.after_operator = false;
                Token::Value(self.run(from, is_of_value))
            }
            _ if is_of_field(first) => Token::Field(self.run(from, is_of_field)),
            _ => Token::Other,
        })
    }

    /// What stands between quotes, the first of which was read.
    fn quoted(&mut self, quote: char) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        let push = |bytes: &mut Vec<u8>, character: char| {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        };
        loop {
            match self.next() {
                None | Some('\n' | '\0' | char::REPLACEMENT_CHARACTER) => {
                    return Err("a quote is not closed");
                }
                Some(end) if end == quote => return Ok(bytes),
                Some('\\') => self.escape(quote, &mut bytes)?,
                Some(other) => push(&mut bytes, other),
            }
        }
    }

    /// What a backslash, which was read, and what follows stand for.
    fn escape(&mut self, quote: char, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        const FAULT: Fault = "an escape that there is not";
        let byte = match self.next().ok_or(FAULT)? {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 0x0b,
            '\\' => b'\\',
            // All quotes are of one byte.
            other if other == quote => u8::try_from(quote).map_err(|_| FAULT)?,
            'x' => u8::try_from(self.digits(0, 16, 2)?).map_err(|_| FAULT)?,
            letter @ ('u' | 'U') => {
                let code = self.digits(0, 16, if letter == 'u' { 4 } else { 8 })?;
                if code > u32::from(char::MAX) {
                    return Err(FAULT);
                }
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            first => {
                let first = first.to_digit(8).ok_or(FAULT)?;
                u8::try_from(self.digits(first, 8, 2)?).map_err(|_| FAULT)?
            }
        };
        bytes.push(byte);
        Ok(())
    }

    /// A number that begins with `so_far` and goes on with exactly `count` digits.
    fn digits(&mut self, so_far: u32, radix: u32, count: u32) -> Result<u32, Fault> {
        let mut number = so_far;
        for _ in 0..count {
            let digit =
                self.next().and_then(|next| next.to_digit(radix)).ok_or("an escape with too few digits")?;
            number = number.wrapping_mul(radix).wrapping_add(digit);
        }
        Ok(number)
    }
}

const fn is_of_field(character: char) -> bool {
    character == '_' || character.is_ascii_alphanumeric()
}

fn is_of_value(character: char) -> bool {
    character != ','
        && !character.is_whitespace()
        && !character.is_control()
        && character != char::REPLACEMENT_CHARACTER
}
