//! What Envoy calls, under the names of ABI 0.2.1: `wasm-tests/strip` exports these functions in
//! the place of the SDK's. The SDK keeps an object for every request, and has to be told when it
//! can go; here a request that leaves nothing to its response leaves nothing behind at all.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use log::error;
use proxy_wasm::hostcalls;
use proxy_wasm::types::Action;

use super::response::Response;
use super::{Running, host};

// They keep these functions in the module that is linked.
#[used]
static CONFIGURE: extern "C" fn(u32, u32) -> bool = proxy_on_configure;
#[used]
static CREATE: extern "C" fn(u32, u32) = proxy_on_context_create;
#[used]
static HEADERS: [extern "C" fn(u32, u32, u32) -> Action; 2] =
    [proxy_on_request_headers, proxy_on_response_headers];
#[used]
static OTHERS: [extern "C" fn(u32); 2] = [proxy_on_tick, proxy_on_delete];

/// What is left to a response, and of which configuration.
type Left = (Rc<Running>, Response);

thread_local! {
    /// The configurations at work in this VM, by their contexts: plugins of one module share it.
    static RUNNING: RefCell<Vec<(u32, Rc<Running>)>> = const { RefCell::new(Vec::new()) };
    /// The request whose context was created last, and the context of its configuration. Envoy
    /// does so right before it hands over the headers (`Context::decodeHeaders`), so one is enough.
    static CREATED: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
    /// What decisions have left to responses, by the contexts of their requests.
    static RESPONSES: RefCell<BTreeMap<u32, Left>> = const { RefCell::new(BTreeMap::new()) };
}

/// Runs in a canary VM on Envoy's main thread first, then once in every worker. Where it answers
/// false to an update, Envoy keeps the old configuration.
extern "C" fn proxy_on_configure(context: u32, _size: u32) -> bool {
    RUNNING.with_borrow_mut(|all| forget_ended(context, all));
    let Some(running) = Running::configured() else { return false };
    RUNNING.with_borrow_mut(|all| {
        all.retain(|(known, _)| *known != context);
        all.push((context, Rc::new(running)));
    });
    true
}

/// About once a second, while anything of a plan changes with time.
extern "C" fn proxy_on_tick(context: u32) {
    if let Some(running) = running(context) {
        running.tick();
        if !running.changes() {
            host::tick_every(Duration::ZERO);
        }
    }
}

extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    CREATED.set((context, parent));
}

extern "C" fn proxy_on_request_headers(context: u32, _count: u32, _end_of_stream: u32) -> Action {
    let (created, parent) = CREATED.get();
    match running(parent).filter(|_| created == context) {
        Some(running) => {
            let response = running.route();
            if response.is_needed() {
                RESPONSES.with_borrow_mut(|all| all.insert(context, (running, response)));
            }
        }
        None => error!("a request of no configuration"),
    }
    Action::Continue
}

extern "C" fn proxy_on_response_headers(context: u32, _count: u32, _end_of_stream: u32) -> Action {
    if let Some((running, response)) = take_response(context) {
        response.answer(&running);
    }
    Action::Continue
}

/// Envoy deletes a request, which without response headers was reset, or a configuration.
extern "C" fn proxy_on_delete(context: u32) {
    if let Some((running, response)) = take_response(context) {
        response.reset(&running);
    } else if running(context).is_some() {
        // Envoy forgets a configuration, but not its timer, which would go off for ever. (Where this
        // is not exported, one does whose ramp had not yet ended.)
        host::tick_every(Duration::ZERO);
        RUNNING.with_borrow_mut(|all| all.retain(|(known, _)| *known != context));
    }
}

fn running(context: u32) -> Option<Rc<Running>> {
    let of = |(known, running): &(u32, Rc<Running>)| (*known == context).then(|| running.clone());
    RUNNING.with_borrow(|all| all.iter().find_map(of))
}

fn take_response(context: u32) -> Option<Left> {
    RESPONSES.with_borrow_mut(|all| all.remove(&context))
}

/// Drops the configurations whose contexts the host has no more: it cannot act for them. Asked for
/// each new configuration, it need not tell of the end of every request too.
fn forget_ended(context: u32, all: &mut Vec<(u32, Rc<Running>)>) {
    let lives = |context| hostcalls::set_effective_context(context).is_ok();
    // A host that refuses even the one that it has called answers nothing of the others.
    if lives(context) {
        all.retain(|(known, _)| lives(*known));
        // And acts for this one again.
        lives(context);
    }
}
