//! Anchors, aliases, tags and directives.

use super::cursor::is_word;
use super::{Outcome, Scanner, TagPart, TokenKind};

impl<'a> Scanner<'a> {
    pub(super) fn anchor(&mut self) -> Outcome {
        self.may_be_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark;
        let is_alias = self.cursor.byte() == b'*';
        self.cursor.skip(1);
        let name = self.word();
        let ends = self.cursor.is_space_or_end(0)
            || matches!(
                self.cursor.byte(),
                b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`'
            );
        if name.is_empty() || !ends {
            return self.fault(
                "did not find expected alphabetic or numeric character",
                start,
            );
        }
        self.push(
            if is_alias {
                TokenKind::Alias(name)
            } else {
                TokenKind::Anchor(name)
            },
            start,
        );
        Ok(())
    }

    fn word(&mut self) -> &'a str {
        let from = self.cursor.mark.offset;
        while is_word(self.cursor.byte()) {
            self.cursor.skip(1);
        }
        self.cursor.since(from)
    }

    pub(super) fn tag(&mut self) -> Outcome {
        self.may_be_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark;
        let (handle, suffix) = if self.cursor.peek(1) == b'<' {
            self.cursor.skip(2);
            let suffix = self.tag_uri("", start)?;
            if self.cursor.byte() != b'>' {
                return self.fault("did not find the expected '>'", start);
            }
            self.cursor.skip(1);
            ("", suffix)
        } else {
            let handle = self.tag_handle();
            if handle.len() > 1 && handle.ends_with('!') {
                (handle, self.tag_uri("", start)?)
            } else {
                // What looked like a handle is the start of a local tag.
                let suffix = self.tag_uri(handle, start)?;
                if suffix.is_empty() {
                    ("", "!".to_owned())
                } else {
                    ("!", suffix)
                }
            }
        };
        if !self.cursor.is_space_or_end(0) {
            return self.fault("did not find expected whitespace or line break", start);
        }
        self.push(
            TokenKind::Tag(Box::new(TagPart {
                handle,
                rest: suffix,
            })),
            start,
        );
        Ok(())
    }

    /// Reads `!`, `!!` or `!word!`, or `!word` of a local tag.
    fn tag_handle(&mut self) -> &'a str {
        let from = self.cursor.mark.offset;
        self.cursor.skip(1);
        self.word();
        if self.cursor.byte() == b'!' {
            self.cursor.skip(1);
        }
        self.cursor.since(from)
    }

    /// Reads the rest of a tag; `head` is what was read of it, with its `!`.
    fn tag_uri(&mut self, head: &str, start: super::Mark) -> Outcome<String> {
        let mut uri = head.get(1..).unwrap_or_default().to_owned();
        loop {
            let byte = self.cursor.byte();
            if byte == b'%' {
                uri.push(self.uri_escape(start)?);
            } else if is_word(byte) || b";/?:@&=+$,.!~*'()[]".contains(&byte) {
                uri.push(char::from(byte));
                self.cursor.skip(1);
            } else {
                break;
            }
        }
        if uri.is_empty() && head.is_empty() {
            return self.fault("did not find expected tag URI", start);
        }
        Ok(uri)
    }

    /// Reads one character written as `%XX` for each of its bytes.
    fn uri_escape(&mut self, start: super::Mark) -> Outcome<char> {
        let mut octets = Vec::with_capacity(4);
        loop {
            let digit = |ahead| char::from(self.cursor.peek(ahead)).to_digit(16);
            let (b'%', Some(high), Some(low)) = (self.cursor.byte(), digit(1), digit(2)) else {
                return self.fault("did not find URI escaped octet", start);
            };
            let octet = u8::try_from(high << 4 | low).unwrap_or_default();
            if octets.is_empty() && matches!(octet, 0x80..=0xbf | 0xf8..) {
                return self.fault("found an incorrect leading UTF-8 octet", start);
            }
            if !octets.is_empty() && octet & 0xc0 != 0x80 {
                return self.fault("found an incorrect trailing UTF-8 octet", start);
            }
            octets.push(octet);
            self.cursor.skip(3);
            let wanted = match octets[0] {
                0..=0x7f => 1,
                0x80..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            if octets.len() == wanted {
                let character = std::str::from_utf8(&octets)
                    .ok()
                    .and_then(|s| s.chars().next());
                return Ok(character.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
    }

    pub(super) fn directive(&mut self) -> Outcome {
        let start = self.cursor.mark;
        self.cursor.skip(1);
        let name = self.word();
        if name.is_empty() {
            return self.fault("could not find expected directive name", start);
        }
        if !self.cursor.is_space_or_end(0) {
            return self.fault("found unexpected non-alphabetical character", start);
        }
        let kind = match name {
            "YAML" => self.version(start)?,
            "TAG" => self.tag_directive(start)?,
            _ => return self.fault("found unknown directive name", start),
        };
        self.push(kind, start);
        self.cursor.skip_blanks();
        if self.cursor.byte() == b'#' {
            self.comment();
        }
        if !self.cursor.at_end() && !self.cursor.at_break() {
            return self.fault("did not find expected comment or line break", start);
        }
        self.cursor.take_break();
        Ok(())
    }

    fn version(&mut self, start: super::Mark) -> Outcome<TokenKind<'a>> {
        self.cursor.skip_blanks();
        let major = self.version_number(start)?;
        if self.cursor.byte() != b'.' {
            return self.fault("did not find expected digit or '.' character", start);
        }
        self.cursor.skip(1);
        Ok(TokenKind::Version(major, self.version_number(start)?))
    }

    fn version_number(&mut self, start: super::Mark) -> Outcome<u32> {
        let mut number = None;
        for length in 1.. {
            let Some(digit) = char::from(self.cursor.byte()).to_digit(10) else {
                break;
            };
            if length > 2 {
                return self.fault("found extremely long version number", start);
            }
            number = Some(number.unwrap_or(0) * 10 + digit);
            self.cursor.skip(1);
        }
        match number {
            Some(number) => Ok(number),
            None => self.fault("did not find expected version number", start),
        }
    }

    fn tag_directive(&mut self, start: super::Mark) -> Outcome<TokenKind<'a>> {
        self.cursor.skip_blanks();
        if self.cursor.byte() != b'!' {
            return self.fault("did not find expected '!'", start);
        }
        let handle = self.tag_handle();
        if handle != "!" && !(handle.len() > 1 && handle.ends_with('!')) {
            return self.fault("did not find expected '!'", start);
        }
        if !super::cursor::is_blank(self.cursor.byte()) {
            return self.fault("did not find expected whitespace", start);
        }
        self.cursor.skip_blanks();
        let rest = self.tag_uri("", start)?;
        if !self.cursor.is_space_or_end(0) {
            return self.fault("did not find expected whitespace or line break", start);
        }
        let directive = TagPart { handle, rest };
        Ok(TokenKind::TagDirective(Box::new(directive)))
    }
}
