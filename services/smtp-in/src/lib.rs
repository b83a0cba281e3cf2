//! The program that receives mail.
