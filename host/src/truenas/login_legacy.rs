//! The login of the older protocol: `auth.login` or `auth.login_with_api_key`, once. They answer yes
//! or no and do not say why.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::auth::{Credentials, LoginRefusal};
use super::connect_error::ConnectError;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::method::Method;

/// Logs in. An API key of 24.10 belongs to no user; the name is not sent with it.
pub(super) async fn login(
    connection: &Connection,
    endpoint: &Endpoint,
    credentials: &Credentials,
) -> Result<(), ConnectError> {
    let (method, params, refusal) = match credentials {
        Credentials::ApiKey { key, .. } => (
            Method::LegacyKeyLogin,
            vec![json!(key.expose_secret())],
            LoginRefusal::Wrong,
        ),
        Credentials::Password { username, password } => (
            Method::LegacyLogin,
            vec![json!(username), json!(password.expose_secret())],
            LoginRefusal::Unexplained,
        ),
    };
    let answer = connection.call(method, &params).await;
    match answer {
        Ok(Value::Bool(true)) => {
            connection.logged_in();
            Ok(())
        }
        Ok(_) => Err(ConnectError::Login {
            endpoint: endpoint.clone(),
            username: credentials.username().to_owned(),
            refusal,
        }),
        Err(source) => Err(ConnectError::Call {
            endpoint: endpoint.clone(),
            source,
        }),
    }
}
