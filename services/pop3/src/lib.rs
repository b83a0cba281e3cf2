//! The program that hands mailboxes to their owners over POP3.
