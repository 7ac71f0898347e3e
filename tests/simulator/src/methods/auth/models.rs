//! Parameters of `auth.*`, as each version checks them. Recorded on 25.04.2.6, 25.10.7 and
//! 26.0.0-BETA.3; the schemas of these versions.

use crate::schema::{Default, Field, Model, TEXT, Type};

const OPTIONS: Field = Field::with(
    "login_options",
    Type::Object(&LOGIN_OPTIONS),
    Default::EmptyObject,
);
/// From 26 on a login may ask for a token to come back with.
const OPTIONS_26: Field = Field::with(
    "login_options",
    Type::Object(&LOGIN_OPTIONS_26),
    Default::EmptyObject,
);
const USER_INFO: Field = Field::with("user_info", Type::Bool, Default::Bool(true));

static LOGIN_OPTIONS: Model = Model::closed("AuthCommonOptions", &[USER_INFO]);
static LOGIN_OPTIONS_26: Model = Model::closed(
    "AuthCommonOptions",
    &[USER_INFO, Field::flag("reconnect_token")],
);

static API_KEY: Model = Model::closed("AuthApiKeyPlain", &api_key(OPTIONS));
static API_KEY_26: Model = Model::closed("AuthApiKeyPlain", &api_key(OPTIONS_26));
static PASSWORD: Model = Model::closed("AuthPasswordPlain", &password(OPTIONS));
static PASSWORD_26: Model = Model::closed("AuthPasswordPlain", &password(OPTIONS_26));
static TOKEN: Model = Model::closed("AuthTokenPlain", &token(OPTIONS));
static TOKEN_26: Model = Model::closed("AuthTokenPlain", &token(OPTIONS_26));
static CODE: Model = Model::closed("AuthOTPToken", &code(OPTIONS));
static CODE_26: Model = Model::closed("AuthOTPToken", &code(OPTIONS_26));
static SCRAM: Model = Model::closed(
    "AuthSCRAM",
    &[
        mechanism(&["SCRAM"]),
        Field::required(
            "scram_type",
            Type::OneOf(&["CLIENT_FIRST_MESSAGE", "CLIENT_FINAL_MESSAGE"]),
        ),
        Field::required("rfc_str", TEXT),
    ],
);

/// `auth.login_ex` of 25.04: any model that fits; a refusal lists what each of them misses.
pub(super) static LOGIN_EX_25_04: &[Field] = &[Field::required(
    "login_data",
    Type::Union(&[&API_KEY, &PASSWORD, &TOKEN, &CODE]),
)];
/// `auth.login_ex` of 25.10.
pub(super) static LOGIN_EX_25_10: &[Field] = &[Field::required(
    "login_data",
    Type::Tagged {
        tag: "mechanism",
        models: &[
            ("API_KEY_PLAIN", &API_KEY),
            ("PASSWORD_PLAIN", &PASSWORD),
            ("TOKEN_PLAIN", &TOKEN),
            ("OTP_TOKEN", &CODE),
        ],
        enum_class: Some("AuthMech"),
    },
)];
/// `auth.login_ex` of 26.
pub(super) static LOGIN_EX_26: &[Field] = &[Field::required(
    "login_data",
    Type::Tagged {
        tag: "mechanism",
        models: &[
            ("API_KEY_PLAIN", &API_KEY_26),
            ("PASSWORD_PLAIN", &PASSWORD_26),
            ("TOKEN_PLAIN", &TOKEN_26),
            ("OTP_TOKEN", &CODE_26),
            ("SCRAM", &SCRAM),
        ],
        enum_class: None,
    },
)];
/// `auth.login_ex_continue` up to 25.10.
pub(super) static CONTINUE_25: &[Field] = &[Field::required("login_data", Type::Object(&CODE))];
/// `auth.login_ex_continue` of 26.
pub(super) static CONTINUE_26: &[Field] = &[Field::required("login_data", Type::Object(&CODE_26))];
/// `auth.login`.
pub(super) static LOGIN: &[Field] = &[
    Field::required("username", TEXT),
    Field::required("password", TEXT),
    Field::with("otp_token", Type::Nullable(&TEXT), Default::Null),
];
/// `auth.login_with_api_key`.
pub(super) static KEY: &[Field] = &[Field::required("api_key", TEXT)];
/// `auth.login_with_token`.
pub(super) static TOKEN_TEXT: &[Field] = &[Field::required("token", TEXT)];
/// `auth.generate_token`.
pub(super) static GENERATE: &[Field] = &[
    Field::with(
        "ttl",
        Type::Nullable(&Type::Int {
            min: None,
            max: None,
        }),
        Default::Int(600),
    ),
    Field::with("attrs", Type::Dict, Default::EmptyObject),
    Field::with("match_origin", Type::Bool, Default::Bool(true)),
    Field::flag("single_use"),
];

const fn mechanism(word: &'static [&'static str]) -> Field {
    Field::required("mechanism", Type::OneOf(word))
}

const fn api_key(options: Field) -> [Field; 4] {
    [
        mechanism(&["API_KEY_PLAIN"]),
        Field::required("username", TEXT),
        Field::required("api_key", TEXT),
        options,
    ]
}

const fn password(options: Field) -> [Field; 4] {
    [
        mechanism(&["PASSWORD_PLAIN"]),
        Field::required("username", TEXT),
        Field::required("password", TEXT),
        options,
    ]
}

const fn token(options: Field) -> [Field; 3] {
    [
        mechanism(&["TOKEN_PLAIN"]),
        Field::required("token", TEXT),
        options,
    ]
}

const fn code(options: Field) -> [Field; 3] {
    [
        mechanism(&["OTP_TOKEN"]),
        Field::required("otp_token", TEXT),
        options,
    ]
}
