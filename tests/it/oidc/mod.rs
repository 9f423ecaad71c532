//! Customers' people sign in through an OpenID Connect provider: S-43 to S-45 of the security facts, by name.

mod provider;
