//! Python objects from the wire.

use std::sync::Arc;

use bytes::Bytes;
use polyfn_core::codec::{Build, Reader, StreamStub, Stub, Tagged};
use polyfn_core::{Error, ErrorKind, Result, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyMemoryView, PySet, PyString};
use pyo3::{IntoPyObjectExt, ffi, intern};

use super::forms::Forms;
use super::keys::Keys;
use super::{arrays, moments};
use crate::error::exception;
use crate::fill::Fills;
use crate::function::RemoteFunction;
use crate::interpreter::{Interpreter, call0};
use crate::link::Link;
use crate::stream::RemoteStream;

/// Makes Python objects of what came on one connection.
pub(crate) struct Inbound<'a, 'py> {
    py: Python<'py>,
    interpreter: &'a Interpreter,
    keys: &'a mut Keys,
    /// Functions of peers are called through it.
    link: &'a Arc<Link>,
    /// Bytes in what was made that have no content yet.
    fills: Fills,
}

/// A list that is being filled: its places are set one after the other.
pub(crate) struct Filling<'py> {
    list: Bound<'py, PyAny>,
    next: ffi::Py_ssize_t,
}

/// A map that is being filled.
pub(crate) struct Entries<'py> {
    map: Bound<'py, PyAny>,
    /// One of the keys is the name of a method of dict.
    shadows: bool,
    /// One is `_rtype`, with a name that the core does not know.
    has_form: bool,
}

/// A value of the core as a Python object.
pub(crate) fn build_value<'py>(
    py: Python<'py>,
    link: &Arc<Link>,
    value: &Value,
) -> PyResult<Bound<'py, PyAny>> {
    let made = value.to_msgpack().and_then(|bytes| {
        let interpreter = Interpreter::get(py).map_err(|error| internal(&error))?;
        Reader::new(&bytes.into()).build(&mut Inbound::new(py, interpreter, &mut Keys::default(), link))
    });
    made.map_err(|error| crate::error::raised(py, &error))
}

impl<'a, 'py> Inbound<'a, 'py> {
    pub(crate) fn new(
        py: Python<'py>,
        interpreter: &'a Interpreter,
        keys: &'a mut Keys,
        link: &'a Arc<Link>,
    ) -> Self {
        Self { py, interpreter, keys, link, fills: Fills::default() }
    }

    /// Leaves large bytes without content, until what [`Self::into_fills`] gives is run.
    pub(crate) fn filled_later(self) -> Self {
        Self { fills: Fills::later(), ..self }
    }

    pub(crate) fn into_fills(self) -> Fills {
        self.fills
    }

    fn set_item(&self, map: &Entries<'py>, key: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> Result<()> {
        // SAFETY: `map` is a dict that nobody else has seen yet; key and value are alive, the call takes its own
        // references.
        let done = unsafe { ffi::PyDict_SetItem(map.map.as_ptr(), key.as_ptr(), value.as_ptr()) };
        if done == 0 { Ok(()) } else { Err(internal(&PyErr::fetch(self.py))) }
    }
}

fn internal(error: &PyErr) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot make a Python object: {error}"))
}

fn invalid(error: &PyErr) -> Error {
    Error::invalid(format!("a value cannot be read: {error}"))
}

impl<'py> Build for Inbound<'_, 'py> {
    type List = Filling<'py>;
    type Map = Entries<'py>;
    type Object = Bound<'py, PyAny>;

    fn nil(&mut self) -> Result<Self::Object> {
        Ok(self.py.None().into_bound(self.py))
    }

    fn bool(&mut self, value: bool) -> Result<Self::Object> {
        value.into_bound_py_any(self.py).map_err(|error| internal(&error))
    }

    fn int(&mut self, value: i64) -> Result<Self::Object> {
        value.into_bound_py_any(self.py).map_err(|error| internal(&error))
    }

    fn uint(&mut self, value: u64) -> Result<Self::Object> {
        value.into_bound_py_any(self.py).map_err(|error| internal(&error))
    }

    fn float(&mut self, value: f64) -> Result<Self::Object> {
        Ok(PyFloat::new(self.py, value).into_any())
    }

    fn text(&mut self, value: &str) -> Result<Self::Object> {
        Ok(PyString::new(self.py, value).into_any())
    }

    fn bytes(&mut self, value: Bytes) -> Result<Self::Object> {
        self.fills.bytes(self.py, value).map(Bound::into_any).map_err(|error| internal(&error))
    }

    fn extension(&mut self, code: i8, data: Bytes) -> Result<Self::Object> {
        if code == moments::TIMESTAMP
            && let Some(moment) = moments::build(self.py, &data).map_err(|error| invalid(&error))?
        {
            return Ok(moment);
        }
        self.bytes(data)
    }

    fn list(&mut self, len: usize) -> Result<Self::List> {
        let len = ffi::Py_ssize_t::try_from(len).map_err(|_| Error::too_large("a list is too long"))?;
        // SAFETY: a new list, null with an error set when there is no memory.
        let list = unsafe { Bound::from_owned_ptr_or_err(self.py, ffi::PyList_New(len)) };
        Ok(Filling { list: list.map_err(|error| internal(&error))?, next: 0 })
    }

    fn push(&mut self, list: &mut Self::List, item: Self::Object) -> Result<()> {
        // SAFETY: the list is ours alone, the call takes the reference to `item` and checks the place.
        let done = unsafe { ffi::PyList_SetItem(list.list.as_ptr(), list.next, item.into_ptr()) };
        list.next += 1;
        if done == 0 { Ok(()) } else { Err(internal(&PyErr::fetch(self.py))) }
    }

    fn end_list(&mut self, list: Self::List) -> Result<Self::Object> {
        Ok(list.list)
    }

    fn map(&mut self, _len: usize) -> Result<Self::Map> {
        let map = call0(self.interpreter.proxy.bind(self.py)).map_err(|error| internal(&error))?;
        Ok(Entries { map, shadows: false, has_form: false })
    }

    fn insert(&mut self, map: &mut Self::Map, key: &str, value: Self::Object) -> Result<()> {
        map.shadows |= is_method_of_dict(key);
        map.has_form |= key == "_rtype";
        let key = self.keys.get(self.py, key);
        self.set_item(map, key.as_any(), &value)
    }

    fn insert_other(&mut self, map: &mut Self::Map, key: Self::Object, value: Self::Object) -> Result<()> {
        // A key is looked into at once.
        self.fills.run();
        if let Ok(text) = key.cast::<PyString>() {
            map.shadows |= text.to_str().is_ok_and(is_method_of_dict);
        }
        self.set_item(map, &key, &value).map_err(|error| Error::invalid(error.message()))
    }

    fn end_map(&mut self, map: Self::Map) -> Result<Self::Object> {
        if map.shadows {
            let class = self.interpreter.shadowing_proxy.bind(self.py);
            map.map.setattr(intern!(self.py, "__class__"), class).map_err(|error| internal(&error))?;
        }
        if map.has_form {
            self.fills.run();
            let rebuilt = Forms::get(self.py)
                .and_then(|forms| forms.rebuild.bind(self.py).call1((map.map, self.link.codecs(self.py))));
            return rebuilt.map_err(|error| invalid(&error));
        }
        Ok(map.map)
    }

    fn method(&mut self, stub: Stub) -> Result<Self::Object> {
        let function = RemoteFunction::new(self.link.clone(), Arc::new(stub));
        let function = Bound::new(self.py, function).map(Bound::into_any);
        function.and_then(|function| self.link.received(&function)).map_err(|error| internal(&error))
    }

    fn generator(&mut self, stub: StreamStub) -> Result<Self::Object> {
        let stream = Bound::new(self.py, RemoteStream::new(self.link.clone(), stub)).map(Bound::into_any);
        stream.and_then(|stream| self.link.received(&stream)).map_err(|error| internal(&error))
    }

    fn tagged(&mut self, value: Tagged<Self::Object>) -> Result<Self::Object> {
        let py = self.py;
        if matches!(value, Tagged::Set(_) | Tagged::Pairs(_)) {
            self.fills.run();
        }
        match value {
            Tagged::Set(items) => PySet::new(py, &items).map(Bound::into_any).or_else(|_| {
                // Members that have no hash, such as maps of JavaScript, cannot be in a set of Python.
                Forms::get(py)
                    .and_then(|forms| forms.members.bind(py).call1((items,)))
                    .map_err(|error| invalid(&error))
            }),
            Tagged::Pairs(pairs) => {
                let made = Forms::get(py).and_then(|forms| forms.pairs.bind(py).call1((pairs,)));
                made.map_err(|error| invalid(&error))
            }
            Tagged::Memory(data) => {
                let bytes = self.fills.bytes(py, data).map_err(|error| internal(&error))?;
                Ok(PyMemoryView::from(bytes.as_any()).map_err(|error| internal(&error))?.into_any())
            }
            Tagged::Array { data, shape, dtype } => self.array(&data, shape, dtype),
            Tagged::Error(error) => exception(py, &error).map_err(|error| internal(&error)),
        }
    }
}

impl<'py> Inbound<'_, 'py> {
    fn array(
        &mut self,
        data: &Bytes,
        shape: Option<Vec<u64>>,
        dtype: Option<String>,
    ) -> Result<Bound<'py, PyAny>> {
        let py = self.py;
        if let Some(dtype) = &dtype {
            let made = arrays::build(py, data, shape.clone(), dtype, &mut self.fills)
                .map_err(|error| invalid(&error))?;
            if let Some(array) = made {
                return Ok(array);
            }
        }
        // Without numpy, or without a type: the raw parts, which can be sent on as they are.
        let parts = (|| {
            let parts = call0(self.interpreter.proxy.bind(py))?.cast_into::<PyDict>()?;
            parts.set_item("_rtype", if shape.is_some() { "ndarray" } else { "typedarray" })?;
            parts.set_item("_rvalue", self.fills.bytes(py, data.clone())?)?;
            if let Some(shape) = shape {
                parts.set_item("_rshape", shape)?;
            }
            parts.set_item("_rdtype", dtype)?;
            Ok::<_, PyErr>(parts.into_any())
        })();
        parts.map_err(|error| internal(&error))
    }
}

/// Such keys must win over the methods when they are read as attributes (protocol section 18.3).
fn is_method_of_dict(key: &str) -> bool {
    matches!(
        key,
        "clear"
            | "copy"
            | "fromDict"
            | "fromkeys"
            | "get"
            | "items"
            | "keys"
            | "pop"
            | "popitem"
            | "setdefault"
            | "toDict"
            | "update"
            | "values"
    )
}
