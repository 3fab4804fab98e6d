#pragma once

#include "core/crypto/ocsp.hpp"

#include <chrono>
#include <string>

namespace ron::core::crypto {

/// The address of the authority that answers for the certificate, as the certificate names it
/// (RFC 5280, 4.2.2.1): http only, as the answer is signed. Error: bad_request saying what is
/// missing: such an address, or the issuer's certificate in the chain, without which no question
/// can be put.
result<std::string> ocsp_responder(const identity& about);

/// Asks that authority (RFC 6960, appendix A.1: POST). The answer is verified: signed by the issuer
/// or by whom it delegated, fresh, and about the leaf. Blocks for at most `patience`; takes at most
/// `ocsp_staple::bytes_max`. Any thread. Errors: that of `ocsp_responder`, degraded: the authority
/// cannot be reached, bad_request: its answer is wrong.
result<ocsp_staple_ptr> fetch_staple(const identity& about, std::chrono::seconds patience);

} // namespace ron::core::crypto
