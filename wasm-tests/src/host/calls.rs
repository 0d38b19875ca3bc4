//! The host calls: what the module imports.

use wasmi::{Caller, Error, ExternType, Linker, Memory, Module, Val};

use super::world::{Map, Status, World, serialize};

type Answer = Result<Status, Error>;

/// Links every import of the module to a function of this host.
pub(super) fn link(linker: &mut Linker<World>, module: &Module) -> Result<(), Error> {
    for import in module.imports() {
        let ExternType::Func(ty) = import.ty() else {
            return Err(Error::new(format!("imports {}, which is no function", import.name())));
        };
        let name = import.name().to_owned();
        let wasi = import.module() == "wasi_snapshot_preview1";
        linker.func_new(
            import.module(),
            import.name(),
            ty.clone(),
            move |caller, given, out| {
                let mut call = Call { caller, given };
                call.caller.data_mut().count(&name);
                let status = if wasi { call.wasi(&name)? } else { call.proxy(&name)? as i32 };
                if let Some(out) = out.first_mut() {
                    *out = Val::I32(status);
                }
                Ok(())
            },
        )?;
    }
    Ok(())
}

/// One host call: the caller and its arguments.
struct Call<'a, 'g> {
    caller: Caller<'a, World>,
    given: &'g [Val],
}

impl Call<'_, '_> {
    fn proxy(&mut self, name: &str) -> Answer {
        if let Some(status) = self.caller.data().answers.get(name) {
            return Ok(*status);
        }
        match name {
            "proxy_log" => self.log(),
            "proxy_get_current_time_nanoseconds" => {
                let clock = self.caller.data().clock;
                self.write(self.number(0), &clock.to_le_bytes())
            }
            "proxy_get_buffer_bytes" => self.buffer(),
            "proxy_get_header_map_pairs" => self.pairs(),
            "proxy_get_header_map_value" => self.value(),
            "proxy_add_header_map_value" => self.change(|headers, name, value| {
                headers.push((name, value));
            }),
            "proxy_replace_header_map_value" => self.change(|headers, name, value| {
                headers.retain(|(known, _)| *known != name);
                headers.push((name, value));
            }),
            "proxy_remove_header_map_value" => self.remove(),
            "proxy_get_property" => {
                let path = self.text(0)?;
                let World { properties, state, .. } = self.caller.data();
                let value = properties.get(&path).or_else(|| state.get(&path)).cloned();
                self.give(2, value)
            }
            "proxy_set_property" => {
                let (path, value) = (self.text(0)?, self.text(2)?);
                self.caller.data_mut().state.insert(path, value);
                Ok(Status::Ok)
            }
            "proxy_set_tick_period_milliseconds" => {
                self.caller.data_mut().period = Some(self.number(0));
                Ok(Status::Ok)
            }
            "proxy_set_effective_context" => {
                let lives = self.caller.data().contexts.contains(&self.number(0));
                Ok(if lives { Status::Ok } else { Status::BadArgument })
            }
            "proxy_get_shared_data" => self.shared(),
            "proxy_set_shared_data" => self.share(),
            "proxy_define_metric" => {
                let name = String::from_utf8_lossy(&self.text(1)?).into_owned();
                let metrics = &mut self.caller.data_mut().metrics;
                metrics.push((name, 0));
                let id = metrics.len() as u32 - 1;
                self.write(self.number(3), &id.to_le_bytes())
            }
            "proxy_increment_metric" => self.metric(|value, by| *value += by),
            "proxy_record_metric" => self.metric(|value, to| *value = to),
            "proxy_send_local_response" => {
                self.caller.data_mut().local_response = Some(self.number(0));
                Ok(Status::Ok)
            }
            "proxy_call_foreign_function" => self.foreign(),
            _ => Err(Error::new(format!("this host has no {name}"))),
        }
    }

    /// An error number of WASI; 0 is success.
    fn wasi(&mut self, name: &str) -> Result<i32, Error> {
        match name {
            "random_get" => {
                for offset in (0..self.number(1)).step_by(8) {
                    const EIO: i32 = 29;
                    let Some(bits) = self.caller.data_mut().random() else { return Ok(EIO) };
                    let bytes = bits.to_le_bytes();
                    let length = bytes.len().min((self.number(1) - offset) as usize);
                    self.write(self.number(0) + offset, &bytes[..length])?;
                }
                Ok(0)
            }
            "clock_time_get" => {
                let clock = self.caller.data().clock;
                self.write(self.number(2), &clock.to_le_bytes()).map(|_| 0)
            }
            "environ_sizes_get" => {
                let variables = self.caller.data().variables();
                let bytes = variables.concat().len() as u32;
                self.write(self.number(0), &(variables.len() as u32).to_le_bytes())?;
                self.write(self.number(1), &bytes.to_le_bytes()).map(|_| 0)
            }
            "environ_get" => {
                let (mut place, mut address) = (self.number(0), self.number(1));
                for variable in self.caller.data().variables() {
                    self.write(place, &address.to_le_bytes())?;
                    self.write(address, &variable)?;
                    place += 4;
                    address += variable.len() as u32;
                }
                Ok(0)
            }
            "fd_write" => {
                const EBADF: i32 = 8;
                Ok(EBADF)
            }
            "proc_exit" => Err(Error::i32_exit(self.number(0) as i32)),
            _ => Err(Error::new(format!("this host has no {name}"))),
        }
    }

    fn log(&mut self) -> Answer {
        let line = String::from_utf8_lossy(&self.text(1)?).into_owned();
        let level = self.number(0) as i32;
        self.caller.data_mut().log(level, line);
        Ok(Status::Ok)
    }

    fn buffer(&mut self) -> Answer {
        const PLUGIN_CONFIGURATION: u32 = 7;
        if self.number(0) != PLUGIN_CONFIGURATION {
            return Ok(Status::NotFound);
        }
        let (start, size) = (self.number(1) as usize, self.number(2) as usize);
        let configuration = &self.caller.data().configuration;
        let part = configuration.iter().skip(start).take(size).copied().collect();
        self.give(3, Some(part))
    }

    fn pairs(&mut self) -> Answer {
        let Some(map) = self.map() else { return Ok(Status::BadArgument) };
        let bytes = self.caller.data_mut().headers(map).map(|headers| serialize(headers));
        self.give(1, bytes)
    }

    /// Returns only the first of several values, as Envoy does.
    fn value(&mut self) -> Answer {
        let Some(map) = self.map() else { return Ok(Status::BadArgument) };
        let name = self.text(1)?;
        let headers = self.caller.data_mut().headers(map);
        let value = headers.and_then(|headers| {
            headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
        });
        self.give(3, value)
    }

    fn change(&mut self, change: fn(&mut super::Headers, Vec<u8>, Vec<u8>)) -> Answer {
        let (name, value) = (self.text(1)?, self.text(3)?);
        let Some(map) = self.map() else { return Ok(Status::BadArgument) };
        let Some(headers) = self.caller.data_mut().headers(map) else {
            return Ok(Status::BadArgument);
        };
        change(headers, name, value);
        Ok(Status::Ok)
    }

    fn remove(&mut self) -> Answer {
        let name = self.text(1)?;
        let Some(map) = self.map() else { return Ok(Status::BadArgument) };
        let Some(headers) = self.caller.data_mut().headers(map) else {
            return Ok(Status::BadArgument);
        };
        headers.retain(|(known, _)| *known != name);
        Ok(Status::Ok)
    }

    /// Declares a property of a request: field 1 of the message is its name, and field 5 the span.
    fn foreign(&mut self) -> Answer {
        let (function, argument) = (self.text(0)?, self.text(2)?);
        let named =
            argument.split_at_checked(2).and_then(|(_, name)| name.strip_suffix(b"\x28\x01"));
        match named {
            Some(name) if function == b"declare_property" => {
                let new = self.caller.data_mut().declared.insert(name.to_vec());
                Ok(if new { Status::Ok } else { Status::BadArgument })
            }
            _ => Ok(Status::NotFound),
        }
    }

    /// Data and the number of its last write; another VM may write right behind this.
    fn shared(&mut self) -> Answer {
        let key = self.text(0)?;
        let (value, written) = self.caller.data().shared.get(&key).cloned().unzip();
        if let Some(written) = written {
            self.write(self.number(4), &written.to_le_bytes())?;
        }
        let World { shared, overtaken, .. } = self.caller.data_mut();
        if let Some((_, written)) = shared.get_mut(&key).filter(|_| *overtaken > 0) {
            *overtaken -= 1;
            *written += 1;
        }
        self.give(2, value)
    }

    /// Writes data unless someone else has written since it was read: 0 does not ask.
    fn share(&mut self) -> Answer {
        let (key, value, read) = (self.text(0)?, self.text(2)?, self.number(4));
        let shared = &mut self.caller.data_mut().shared;
        let written = shared.get(&key).map_or(0, |(_, written)| *written);
        if read != 0 && read != written {
            return Ok(Status::CasMismatch);
        }
        shared.insert(key, (value, written + 1));
        Ok(Status::Ok)
    }

    fn metric(&mut self, change: fn(&mut i64, i64)) -> Answer {
        let id = self.number(0) as usize;
        let amount = self.given.get(1).and_then(Val::i64).unwrap_or_default();
        match self.caller.data_mut().metrics.get_mut(id) {
            Some((_, value)) => {
                change(value, amount);
                Ok(Status::Ok)
            }
            None => Ok(Status::BadArgument),
        }
    }

    fn map(&self) -> Option<Map> {
        match self.number(0) {
            0 => Some(Map::Request),
            2 => Some(Map::Response),
            3 => Some(Map::Trailers),
            _ => None,
        }
    }

    fn number(&self, index: usize) -> u32 {
        self.given.get(index).and_then(Val::i32).unwrap_or_default() as u32
    }

    fn memory(&self) -> Result<Memory, Error> {
        let memory = self.caller.get_export("memory").and_then(|export| export.into_memory());
        memory.ok_or_else(|| Error::new("the module exports no memory"))
    }

    /// The bytes that an argument points to; the next one is their number.
    fn text(&self, index: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; self.number(index + 1) as usize];
        self.memory()?.read(&self.caller, self.number(index) as usize, &mut bytes)?;
        Ok(bytes)
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Answer {
        self.memory()?.write(&mut self.caller, address as usize, bytes)?;
        Ok(Status::Ok)
    }

    /// Hands bytes over in memory that the module allocates; nothing is allocated for no bytes.
    fn give(&mut self, index: usize, bytes: Option<Vec<u8>>) -> Answer {
        let Some(bytes) = bytes else { return Ok(Status::NotFound) };
        let size = bytes.len() as u32;
        let mut address = 0;
        if size > 0 {
            let allocate = self.caller.get_export("proxy_on_memory_allocate");
            let allocate = allocate.and_then(|export| export.into_func());
            let allocate = allocate.ok_or_else(|| Error::new("the module cannot allocate"))?;
            self.caller.data_mut().count("proxy_on_memory_allocate");
            address = allocate.typed::<u32, u32>(&self.caller)?.call(&mut self.caller, size)?;
            self.write(address, &bytes)?;
        }
        self.write(self.number(index), &address.to_le_bytes())?;
        self.write(self.number(index + 1), &size.to_le_bytes())
    }
}
