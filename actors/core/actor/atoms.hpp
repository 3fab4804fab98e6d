#pragma once

#include <caf/atom.hpp>

/// The verbs of our messages, one list for the whole program. `ron::atom::get` is the type that
/// an interface names, `ron::atom::get_v` the value that a sender sends. At most 10 characters,
/// letters and digits and `_`; the compiler refuses more. Add yours here, with its sentence.
#define RON_ATOM(name)                                                                             \
  using name = caf::atom_constant<caf::atom(#name)>;                                               \
  inline constexpr name name##_v {}

namespace ron::atom {

// -- data ------------------------------------------------------------------------
RON_ATOM(get);       ///< give me the thing with this key
RON_ATOM(put);       ///< keep this thing
RON_ATOM(del);       ///< forget the thing with this key
RON_ATOM(head);      ///< tell me about the thing, without its bytes
RON_ATOM(list);      ///< tell me the keys from here on, a page at a time
RON_ATOM(read);      ///< give me these bytes of it
RON_ATOM(write);     ///< add these bytes to it
RON_ATOM(open);      ///< begin an upload, a stream, a session
RON_ATOM(close);     ///< end it in good order
RON_ATOM(commit);    ///< make durable what was written
RON_ATOM(abort);     ///< take back what was not committed
RON_ATOM(pin);       ///< never evict it
RON_ATOM(unpin);     ///< may be evicted again
RON_ATOM(resolve);   ///< from a name to what it stands for
RON_ATOM(provide);   ///< tell the network that we hold it
RON_ATOM(send);      ///< append to a topic
RON_ATOM(recv);      ///< take from a topic, visible again later
RON_ATOM(ack);       ///< handled, need not be delivered again
RON_ATOM(nack);      ///< not handled, deliver it again
RON_ATOM(subscribe); ///< tell me whenever it changes
RON_ATOM(ask);       ///< a query to a peer

// -- admission -------------------------------------------------------------------
RON_ATOM(acquire);   ///< a permit, please, before this deadline
RON_ATOM(release);   ///< the permit is free again
RON_ATOM(admit);     ///< may this request enter

// -- life ------------------------------------------------------------------------
RON_ATOM(start);     ///< begin to work
RON_ATOM(stop);      ///< end now, answering what is left with an error
RON_ATOM(drain);     ///< take nothing new, finish what is in flight
RON_ATOM(restart);   ///< INTERNAL: the back-off of a dead replica is over
RON_ATOM(status);    ///< how are you, for readiness and the inspector
RON_ATOM(state);     ///< describe your state for the inspector
RON_ATOM(set);       ///< change a setting while running
RON_ATOM(ping);      ///< answer at once
RON_ATOM(tick);      ///< INTERNAL: an own timer fired
RON_ATOM(wake);      ///< INTERNAL: look again, something has become free
RON_ATOM(flush);     ///< push out what is buffered
RON_ATOM(done);      ///< the work you gave away is finished
RON_ATOM(ok);        ///< yes; the answer of a request that has no other

} // namespace ron::atom
