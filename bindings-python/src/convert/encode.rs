//! Python objects onto the wire.

use std::sync::Arc;

use polyfn_core::codec::{FunctionMeta, Reader, Writer};
use polyfn_core::{Error, Result, Value};
use pyo3::exceptions::{PyBaseException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyMemoryView, PySet, PyString,
    PyTuple,
};
use pyo3::{ffi, intern};

use super::forms::Forms;
use super::{arrays, memory, moments};
use crate::error::{from_exception, from_walking, overflow, unsendable};
use crate::function::{Member, RemoteFunction};
use crate::interpreter::{Interpreter, call0, method0};
use crate::link::Link;
use crate::source::Source;

/// Walks Python objects into a message of one connection.
pub(crate) struct Outbound<'a, 'py> {
    py: Python<'py>,
    /// Takes the functions; without one, functions are refused.
    link: Option<&'a Arc<Link>>,
    /// Where generators in it were made, if that is not where it is sent.
    context: Option<&'a Bound<'py, PyAny>>,
    /// Those that the program has registered for its own classes.
    codecs: Option<Bound<'py, PyAny>>,
    /// Members of services say whether they are `async`.
    is_service: bool,
}

/// A Python object as a value of the core; functions cannot be among it.
pub(crate) fn value_of(object: &Bound<'_, PyAny>) -> Result<Value> {
    let py = object.py();
    let mut out = Writer::new();
    Outbound { py, link: None, context: None, codecs: None, is_service: false }.put(&mut out, object)?;
    Reader::new(&out.into_bytes().into()).value()
}

impl<'a, 'py> Outbound<'a, 'py> {
    pub(crate) fn new(py: Python<'py>, link: &'a Arc<Link>) -> Self {
        Self { py, link: Some(link), context: None, codecs: link.codecs(py), is_service: false }
    }

    pub(crate) fn service(py: Python<'py>, link: &'a Arc<Link>) -> Self {
        Self { is_service: true, ..Self::new(py, link) }
    }

    /// For what was made in a context of its own.
    pub(crate) fn within(self, context: &'a Bound<'py, PyAny>) -> Self {
        Self { context: Some(context), ..self }
    }

    /// Writes arguments, by position and by name.
    pub(crate) fn arguments(
        &self,
        out: &mut Writer,
        args: &Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> Result<()> {
        for (at, argument) in args.iter_borrowed().enumerate() {
            self.put(out, &argument).map_err(|error| error.at(&format!("args[{at}]")))?;
        }
        match keywords {
            Some(keywords) => self.map(out, keywords).map_err(|error| error.at("kwargs")),
            None => Ok(()),
        }
    }

    /// Writes an object. Exact types come first, each by one comparison of pointers, in the order of how
    /// often they are met; only then what is derived from them.
    pub(crate) fn put(&self, out: &mut Writer, object: &Bound<'py, PyAny>) -> Result<()> {
        if let Some(codecs) = &self.codecs
            && self.put_coded(out, object, codecs)?
        {
            return Ok(());
        }
        self.put_exact(out, object)
    }

    /// Writes an object for whose class there is a codec; false for any other.
    fn put_coded(
        &self,
        out: &mut Writer,
        object: &Bound<'py, PyAny>,
        codecs: &Bound<'py, PyAny>,
    ) -> Result<bool> {
        let encode = self.ask(codecs.get_item(object.get_type()))?;
        if encode.is_none() {
            return Ok(false);
        }
        let form = self.ask(encode.call1((object,)))?;
        // Not by way of the codecs again: what one makes may be of the class that it is for.
        self.put_exact(out, &form).map(|()| true)
    }

    fn put_exact(&self, out: &mut Writer, object: &Bound<'py, PyAny>) -> Result<()> {
        if let Ok(text) = object.cast_exact::<PyString>() {
            return self.text(out, text);
        }
        if let Ok(number) = object.cast_exact::<PyInt>() {
            return self.int(out, number.as_any());
        }
        if object.is_none() {
            return out.nil();
        }
        // Exact, so before `int` could take it: bool is derived from int.
        if let Ok(truth) = object.cast_exact::<PyBool>() {
            return out.bool(truth.is_true());
        }
        if let Ok(map) = object.cast_exact::<PyDict>() {
            return self.map(out, map);
        }
        if let Ok(list) = object.cast_exact::<PyList>() {
            return self.list(out, list);
        }
        if let Ok(number) = object.cast_exact::<PyFloat>() {
            return out.float(number.value());
        }
        if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            return memory::write(bytes, out);
        }
        if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            return self.tuple(out, tuple);
        }
        if let Ok(function) = object.cast_exact::<RemoteFunction>() {
            return out.stub(function.get().stub());
        }
        self.put_derived(out, object)
    }

    fn put_derived(&self, out: &mut Writer, object: &Bound<'py, PyAny>) -> Result<()> {
        // Before everything callable and everything of numpy: what was decoded here goes back as it came.
        if let Ok(map) = object.cast::<PyDict>() {
            // Services are maps to the core, whatever they were made of.
            let ordered = self.ask(Forms::get(self.py))?.ordered.bind(self.py);
            let is_ordered = !self.is_service && object.is_instance(ordered).unwrap_or(false);
            return if is_ordered { self.pairs(out, object) } else { self.map(out, map) };
        }
        // Before enumerations and numpy scalars could be taken for objects: StrEnum, IntEnum and numpy's
        // float64 and str_ are plain values to a peer.
        if let Ok(text) = object.cast::<PyString>() {
            return self.text(out, text);
        }
        if object.cast::<PyInt>().is_ok() {
            return self.int(out, object);
        }
        if let Ok(number) = object.cast::<PyFloat>() {
            return out.float(number.value());
        }
        if let Ok(list) = object.cast::<PyList>() {
            return self.list(out, list);
        }
        // Named tuples lose their names, as in JSON.
        if let Ok(tuple) = object.cast::<PyTuple>() {
            return self.tuple(out, tuple);
        }
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return memory::write(bytes, out);
        }
        if let Ok(bytes) = object.cast::<PyByteArray>() {
            // SAFETY: no Python code runs while the writer copies it, so it is neither resized nor freed.
            return out.copied(unsafe { bytes.as_bytes() });
        }
        if object.is_instance_of::<PyMemoryView>() {
            return self.memory(out, object);
        }
        if object.is_instance_of::<PySet>() || object.is_instance_of::<PyFrozenSet>() {
            return self.set(out, object);
        }
        // Before callables: exception classes are callable, their instances may be as well.
        if object.is_instance_of::<PyBaseException>() {
            return out.error(&from_exception(self.py, &PyErr::from_value(object.clone())));
        }
        // Before callables: some array-likes can be called.
        if arrays::put(out, object).map_err(|error| self.lift(error))? {
            return Ok(());
        }
        if moments::put(out, object).map_err(|error| self.lift(error))? {
            return Ok(());
        }
        if let Ok(member) = object.cast_exact::<Member>() {
            let Member { function, schema, is_checked } = member.get();
            return self.function(
                out,
                function.bind(self.py),
                Some(schema.bind(self.py).as_any()),
                *is_checked,
            );
        }
        let interpreter = self.ask(Interpreter::get(self.py))?;
        if let Some(is_async) = interpreter.is_async_generator(object) {
            let given = self.link.map_or_else(|| Ok(object.clone()), |link| link.given(object));
            let given = self.ask(given)?;
            let is_async = interpreter.is_async_generator(&given).unwrap_or(is_async);
            return self.generator(out, &given, is_async);
        }
        // Nearly anything may be callable, models and members of enumerations among it.
        if object.is_callable() {
            let schema = self.ask(object.getattr_opt(intern!(self.py, "__schema__")))?;
            let schema = schema.filter(|schema| !schema.is_none());
            return self.function(out, object, schema.as_ref(), false);
        }
        self.form(out, object)
    }

    /// Models, dataclasses, files and what codecs are registered for: Python says what stands for them.
    fn form(&self, out: &mut Writer, object: &Bound<'py, PyAny>) -> Result<()> {
        let form_of = self.ask(Forms::get(self.py))?.form_of.bind(self.py);
        let form =
            form_of.call1((object,)).map_err(|error| match error.is_instance_of::<PyTypeError>(self.py) {
                true => unsendable(error.value(self.py).to_string()),
                false => from_walking(self.py, &error),
            })?;
        self.put(out, &form)
    }

    fn memory(&self, out: &mut Writer, view: &Bound<'py, PyAny>) -> Result<()> {
        if let Some(written) = memory::lend(view, |data| out.memory(data)) {
            return written;
        }
        // Puts strided views in order.
        let bytes = self.ask(view.call_method0(intern!(self.py, "tobytes")))?;
        let bytes = bytes.cast::<PyBytes>().map_err(|_| unsendable("a memoryview without bytes"))?;
        out.memory(bytes.as_bytes())
    }

    fn text(&self, out: &mut Writer, text: &Bound<'py, PyString>) -> Result<()> {
        match text.to_str() {
            Ok(text) => out.text(text),
            Err(_) => Err(unsendable("a text with half of a surrogate pair has no UTF-8 form")),
        }
    }

    fn int(&self, out: &mut Writer, number: &Bound<'py, PyAny>) -> Result<()> {
        let mut side = 0;
        // SAFETY: `number` is an int, we are attached; `side` lives through the call.
        let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(number.as_ptr(), &raw mut side) };
        match side {
            0 => out.int(value),
            1 => match number.extract::<u64>() {
                Ok(value) => out.uint(value),
                Err(_) => Err(overflow("an integer above 2**64 - 1 does not fit, send it as a str")),
            },
            _ => Err(overflow("an integer below -2**63 does not fit, send it as a str")),
        }
    }

    fn list(&self, out: &mut Writer, list: &Bound<'py, PyList>) -> Result<()> {
        let len = list.len();
        out.open_list(len)?;
        for at in 0..len {
            let Ok(item) = list.get_item(at) else { return Err(changed("list")) };
            self.put(out, &item).map_err(|error| error.at(&format!("[{at}]")))?;
        }
        if list.len() != len {
            return Err(changed("list"));
        }
        out.close();
        Ok(())
    }

    fn tuple(&self, out: &mut Writer, tuple: &Bound<'py, PyTuple>) -> Result<()> {
        out.open_list(tuple.len())?;
        for (at, item) in tuple.iter_borrowed().enumerate() {
            self.put(out, &item).map_err(|error| error.at(&format!("[{at}]")))?;
        }
        out.close();
        Ok(())
    }

    fn set(&self, out: &mut Writer, set: &Bound<'py, PyAny>) -> Result<()> {
        let len = self.ask(set.len())?;
        out.open_set(len)?;
        let mut written = 0;
        for item in self.ask(set.try_iter())? {
            let item = self.ask(item)?;
            self.put(out, &item).map_err(|error| error.at("{}"))?;
            written += 1;
        }
        if written != len {
            return Err(changed("set"));
        }
        out.close_set();
        Ok(())
    }

    /// An ordered dict: a list of pairs, in which keys can be anything.
    fn pairs(&self, out: &mut Writer, map: &Bound<'py, PyAny>) -> Result<()> {
        let items = self.ask(
            map.call_method0(intern!(self.py, "items"))
                .and_then(|items| items.try_iter()?.collect::<PyResult<Vec<_>>>()),
        )?;
        out.open_pairs(items.len())?;
        for item in &items {
            let place = item.get_item(0).map_or_else(|_| "[?]".to_owned(), |key| place(&key));
            self.put(out, item).map_err(|error| error.at(&place))?;
        }
        out.close_set();
        Ok(())
    }

    fn map(&self, out: &mut Writer, map: &Bound<'py, PyDict>) -> Result<()> {
        let (len, start) = (map.len(), out.len());
        out.open_map(len)?;
        let mut is_marked = false;
        let (mut at, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
        let mut written = 0;
        // SAFETY: `map` is a dict and alive; the pointers live through the call. Walking a value may run Python
        // code that changes the dict: the call survives that, and the count below notices it.
        while unsafe { ffi::PyDict_Next(map.as_ptr(), &raw mut at, &raw mut key, &raw mut value) } != 0 {
            if written == len {
                return Err(changed("dict"));
            }
            // SAFETY: the call gave borrowed references, which are made our own here.
            let (key, value) =
                unsafe { (Bound::from_borrowed_ptr(self.py, key), Bound::from_borrowed_ptr(self.py, value)) };
            is_marked |= self.key(out, &key)?;
            self.put(out, &value).map_err(|error| error.at(&place(&key)))?;
            written += 1;
        }
        if written != len {
            return Err(changed("dict"));
        }
        out.close();
        if is_marked { self.interface(out, start, map) } else { Ok(()) }
    }

    /// An object whose functions may outlive the call: tells it the id by which the program can end it.
    #[cold]
    fn interface(&self, out: &mut Writer, start: usize, map: &Bound<'py, PyDict>) -> Result<()> {
        match out.interface(start, None)? {
            // By way of the object itself: what stands in for an instance of a class passes it on.
            Some(id) => self.ask(map.as_any().set_item(intern!(self.py, "_rintf_service_id"), id)),
            None => Ok(()),
        }
    }

    /// Writes a key; whether it is the mark of an object that may be an interface.
    fn key(&self, out: &mut Writer, key: &Bound<'py, PyAny>) -> Result<bool> {
        if let Ok(text) = key.cast::<PyString>() {
            let Ok(text) = text.to_str() else {
                return Err(unsendable("a text with half of a surrogate pair has no UTF-8 form"));
            };
            return out.text(text).map(|()| text == "_rintf");
        }
        let is_scalar = key.is_none()
            || key.is_instance_of::<PyInt>()
            || key.is_instance_of::<PyFloat>()
            || key.is_instance_of::<PyBytes>();
        if is_scalar {
            return self.put(out, key).map(|()| false);
        }
        Err(unsendable(format!(
            "a key of type {} has no form on the wire, use str, int, float, bool, bytes or None, or an OrderedDict",
            type_name(key)
        )))
    }

    /// A function of this side: peers get its name and documentation, and call it by its number.
    fn function(
        &self,
        out: &mut Writer,
        function: &Bound<'py, PyAny>,
        schema: Option<&Bound<'py, PyAny>>,
        checks_arguments: bool,
    ) -> Result<()> {
        let Some(link) = self.link else {
            return Err(unsendable(
                "a function cannot be sent here: only arguments, results and services carry them",
            ));
        };
        let given = self.ask(link.given(function))?;
        if let Ok(remote) = given.cast_exact::<RemoteFunction>() {
            return out.stub(remote.get().stub());
        }
        let about = About::of(function);
        let schema = schema.map(value_of).transpose().map_err(|error| error.at(".__schema__"))?;
        let handle = link.add_handler(given.unbind());
        out.function(
            handle,
            &FunctionMeta {
                name: &about.name,
                doc: about.doc.as_deref(),
                schema: schema.as_ref(),
                is_async: self.is_service.then_some(about.is_async),
                checks_arguments,
            },
        )
        .inspect_err(|_| link.release(self.py, handle))
    }

    /// A generator of this side: peers ask for its items by its number.
    fn generator(&self, out: &mut Writer, items: &Bound<'py, PyAny>, is_async: bool) -> Result<()> {
        let Some(link) = self.link else {
            return Err(unsendable("a generator cannot be sent here: only arguments and results carry them"));
        };
        let context = match self.context {
            Some(context) => self.ask(method0(context, intern!(self.py, "copy")))?,
            None => {
                self.ask(Interpreter::get(self.py).and_then(|known| call0(known.copy_context.bind(self.py))))?
            }
        };
        let source = Source::new(link.clone(), context.unbind(), items.clone().unbind(), is_async);
        let handle = link.add_source(source);
        out.generator(handle).inspect_err(|_| link.release(self.py, handle))
    }

    fn ask<T>(&self, answer: PyResult<T>) -> Result<T> {
        answer.map_err(|error| from_walking(self.py, &error))
    }

    fn lift(&self, error: arrays::Failure) -> Error {
        match error {
            arrays::Failure::Core(error) => error,
            arrays::Failure::Python(error) => from_walking(self.py, &error),
        }
    }
}

/// What peers learn of a function.
struct About {
    name: String,
    doc: Option<String>,
    is_async: bool,
}

impl About {
    /// Looks through `functools.partial` and bound methods at the function itself.
    fn of(function: &Bound<'_, PyAny>) -> Self {
        let py = function.py();
        let inner = match function.getattr_opt(intern!(py, "__name__")) {
            Ok(Some(_)) => function.clone(),
            _ => function.getattr(intern!(py, "func")).unwrap_or_else(|_| function.clone()),
        };
        let text = |name: &Bound<'_, PyString>| inner.getattr(name).ok()?.extract::<String>().ok();
        let flags =
            inner.getattr(intern!(py, "__code__")).and_then(|code| code.getattr(intern!(py, "co_flags")));
        const CO_COROUTINE: u32 = 0x80;
        Self {
            name: text(intern!(py, "__name__")).unwrap_or_else(|| type_name(&inner)),
            doc: text(intern!(py, "__doc__")),
            is_async: flags
                .and_then(|flags| flags.extract::<u32>())
                .is_ok_and(|flags| flags & CO_COROUTINE != 0),
        }
    }
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string())
}

fn place(key: &Bound<'_, PyAny>) -> String {
    match key.cast::<PyString>() {
        Ok(text) => format!(".{}", text.to_string_lossy()),
        Err(_) => key.repr().map_or_else(|_| "[?]".to_owned(), |text| format!("[{text}]")),
    }
}

fn changed(what: &str) -> Error {
    unsendable(format!("the {what} was changed while it was being sent"))
}
