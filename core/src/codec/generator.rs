//! Generators on the wire: the `generator` and `stop_iteration` forms (protocol section 10.5).

use super::tag::StreamStub;
use super::{Export, Handle, Reader, Token, Writer};
use crate::extensions::Extensions;
use crate::{Error, Result};

impl Writer {
    /// A generator (an iterator, a stream) of this side: puts it into the session's object table and writes its
    /// `generator` form. The language is then told by [`crate::session::Event::Pull`] when a peer wants items, and by
    /// [`crate::session::Event::Released`] when it is to be closed.
    ///
    /// # Errors
    /// `invalid` where no generators can be sent.
    pub fn generator(&mut self, handle: Handle) -> Result<()> {
        let Some(exports) = self.exports.as_mut() else {
            return Err(Error::invalid(
                "a generator cannot be sent here: only arguments, results and items of generators carry them",
            ));
        };
        exports.count += 1;
        let object = exports.count.to_string();
        let method = format!("{}.{object}", exports.session);
        let stub = StreamStub {
            target: exports.target.clone(),
            close_method: format!("{method}:close"),
            method,
            doc: Some("Remote generator".to_owned()),
            server: Some(exports.server.clone()),
            enc_pub: exports.enc_pub,
            ..StreamStub::default()
        };
        exports.objects.push((object, Export::Generator(handle)));
        self.stream_stub(&stub)
    }

    /// A generator of some peer, in the `generator` form.
    pub fn stream_stub(&mut self, stub: &StreamStub) -> Result<()> {
        let optional = usize::from(stub.server.is_some()) + usize::from(stub.enc_pub.is_some());
        self.open_tag("generator", 6 + optional)?;
        if let Some(server) = &stub.server {
            self.text("_rserver")?;
            self.text(server)?;
        }
        for (key, value) in
            [("_rtarget", &stub.target), ("_rmethod", &stub.method), ("_rclose_method", &stub.close_method)]
        {
            self.text(key)?;
            self.text(value)?;
        }
        self.text("_rpromise")?;
        self.text("*")?;
        if let Some(key) = &stub.enc_pub {
            self.text("_renc_pub")?;
            self.bytes(key.as_bytes())?;
        }
        self.text("_rdoc")?;
        self.optional_text(stub.doc.as_deref())?;
        self.close();
        Ok(())
    }

    /// The end of a generator, in the place of an item.
    pub fn stop_iteration(&mut self) -> Result<()> {
        self.open_tag("stop_iteration", 1)?;
        self.close();
        Ok(())
    }
}

impl Reader<'_> {
    pub(super) fn read_generator(&mut self, len: usize) -> Result<StreamStub> {
        let mut stub = StreamStub::default();
        for _ in 0..len {
            match self.text()? {
                "_rtarget" => stub.target = self.text()?.to_owned(),
                "_rmethod" => stub.method = self.text()?.to_owned(),
                "_rclose_method" => stub.close_method = self.text()?.to_owned(),
                "_rserver" => stub.server = self.optional()?,
                "_renc_pub" => stub.enc_pub = self.public_key()?,
                "_rdoc" => stub.doc = self.optional()?,
                _ => {
                    self.skip()?;
                }
            }
        }
        if stub.method.is_empty() {
            return Err(Error::invalid("a remote generator lacks `_rmethod`"));
        }
        if let Some(origin) = self.origin {
            stub.target = origin.absolute(&stub.target);
            let is_owner = stub.target == origin.from;
            stub.enc_pub = origin.seal_key.or(stub.enc_pub);
            stub.parent = origin.session.clone().filter(|_| is_owner);
            stub.pushes = is_owner && origin.extensions.has(Extensions::PUSHED);
        }
        Ok(stub)
    }

    /// Whether the next value is the end of a generator. The reader does not move.
    pub(crate) fn is_stop_iteration(&self) -> bool {
        let mut ahead = self.ahead();
        let Ok(entries) = ahead.map() else { return false };
        for _ in 0..entries {
            match ahead.token() {
                Ok(Token::Text("_rtype")) => return ahead.token() == Ok(Token::Text("stop_iteration")),
                Ok(Token::Text(_)) if ahead.skip().is_ok() => {}
                _ => return false,
            }
        }
        false
    }
}
