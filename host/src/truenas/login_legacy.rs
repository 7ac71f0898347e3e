//! The login of the older protocol: `auth.login` or `auth.login_with_api_key`, once. They answer yes
//! or no and do not say why.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::auth::Credentials;
use super::connect_error::ConnectError;
use super::connection::Connection;
use super::login::Entry;
use super::method::Method;
use super::refusal::LoginRefusal;

/// Logs in. An API key of 24.10 belongs to no user; the name is not sent with it. A code goes
/// together with the password.
pub(super) async fn login(
    connection: &Connection,
    entry: &Entry<'_>,
    code: Option<&SecretString>,
) -> Result<(), ConnectError> {
    let (method, params, refusal) = match (entry.credentials, code) {
        (Credentials::ApiKey { key, .. }, _) => (
            Method::LegacyKeyLogin,
            vec![json!(key.expose_secret())],
            LoginRefusal::Wrong,
        ),
        (Credentials::Password { username, password }, None) => (
            Method::LegacyLogin,
            vec![json!(username), json!(password.expose_secret())],
            LoginRefusal::Unexplained,
        ),
        (Credentials::Password { username, password }, Some(code)) => (
            Method::LegacyLogin,
            vec![
                json!(username),
                json!(password.expose_secret()),
                json!(code.expose_secret()),
            ],
            LoginRefusal::UnexplainedWithCode,
        ),
    };
    match connection.call(method, &params).await {
        Ok(Value::Bool(true)) => {
            connection.logged_in();
            Ok(())
        }
        Ok(_) => Err(entry.refused(refusal)),
        Err(source) => Err(entry.failed(source)),
    }
}
