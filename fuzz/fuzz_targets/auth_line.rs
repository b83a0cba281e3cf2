#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| lib_net::auth::prove_line(octets));
