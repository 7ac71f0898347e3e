//! Models of `pool.dataset.create`, `update` and `delete`. Schema: 25.10.5.

use crate::schema::{Default, Field, INT, Model, NONEMPTY, TEXT, Type};

const PERCENT: Type = Type::Either(&Type::OneOf(&["INHERIT"]), &Type::between(0, 100));
const INT_OR_INHERIT: Type = Type::Either(&Type::OneOf(&["INHERIT"]), &INT);
const ON_OFF: Type = Type::OneOf(&["ON", "OFF", "INHERIT"]);
const SYNC: Type = Type::OneOf(&["STANDARD", "ALWAYS", "DISABLED", "INHERIT"]);
const SNAPDEV: Type = Type::OneOf(&["HIDDEN", "VISIBLE", "INHERIT"]);
const SNAPDIR: Type = Type::OneOf(&["DISABLED", "VISIBLE", "HIDDEN", "INHERIT"]);
const DEDUP: Type = Type::OneOf(&["ON", "VERIFY", "OFF", "INHERIT"]);
const CHECKSUM: Type = Type::OneOf(&[
    "ON",
    "OFF",
    "FLETCHER2",
    "FLETCHER4",
    "SHA256",
    "SHA512",
    "SKEIN",
    "EDONR",
    "BLAKE3",
    "INHERIT",
]);
const COMPRESSION: Type = Type::OneOf(&[
    "ON",
    "OFF",
    "LZ4",
    "GZIP",
    "GZIP-1",
    "GZIP-9",
    "ZSTD",
    "ZSTD-FAST",
    "ZLE",
    "LZJB",
    "ZSTD-1",
    "ZSTD-2",
    "ZSTD-3",
    "ZSTD-4",
    "ZSTD-5",
    "ZSTD-6",
    "ZSTD-7",
    "ZSTD-8",
    "ZSTD-9",
    "ZSTD-10",
    "ZSTD-11",
    "ZSTD-12",
    "ZSTD-13",
    "ZSTD-14",
    "ZSTD-15",
    "ZSTD-16",
    "ZSTD-17",
    "ZSTD-18",
    "ZSTD-19",
    "INHERIT",
]);
const SHARES: Type = Type::OneOf(&["GENERIC", "MULTIPROTOCOL", "NFS", "SMB", "APPS"]);
const BLOCKS: Type = Type::OneOf(&[
    "512", "512B", "1K", "2K", "4K", "8K", "16K", "32K", "64K", "128K",
]);
const QUOTA: Type = Type::Nullable(&INT);
const KEY: Type = Type::Text {
    min: 0,
    pattern: Some(".*:.*"),
};
const ACLMODE: Type = Type::OneOf(&["PASSTHROUGH", "RESTRICTED", "DISCARD", "INHERIT"]);
const ACLTYPE: Type = Type::OneOf(&["OFF", "NFSV4", "POSIX", "INHERIT"]);
const CASES: Type = Type::OneOf(&["SENSITIVE", "INSENSITIVE", "INHERIT"]);
const INHERIT: Default = Default::Text("INHERIT");

static USER_PROPERTY: Model = Model::closed(
    "PoolDatasetCreateUserProperty",
    &[Field::required("key", KEY), Field::required("value", TEXT)],
);
static USER_PROPERTY_UPDATE: Model = Model::closed(
    "PoolDatasetUpdateUserProperty",
    &[
        Field::required("key", KEY),
        Field::absent("value", TEXT),
        Field::absent("remove", Type::Bool),
    ],
);
const USER_PROPERTIES: Type = Type::List(&Type::Object(&USER_PROPERTY));
const USER_PROPERTY_UPDATES: Type = Type::List(&Type::Object(&USER_PROPERTY_UPDATE));

/// Members of both models, then those given.
macro_rules! create_model {
    ($name:literal, $name_type:expr, $($more:expr),+ $(,)?) => {
        Model::closed($name, &[
            Field::required("name", $name_type),
            Field::with("comments", TEXT, INHERIT),
            Field::with("sync", SYNC, INHERIT),
            Field::absent("snapdev", SNAPDEV),
            Field::with("compression", COMPRESSION, INHERIT),
            Field::with("exec", ON_OFF, INHERIT),
            Field::with("managedby", NONEMPTY, INHERIT),
            Field::with("quota_warning", PERCENT, INHERIT),
            Field::with("quota_critical", PERCENT, INHERIT),
            Field::with("refquota_warning", PERCENT, INHERIT),
            Field::with("refquota_critical", PERCENT, INHERIT),
            Field::absent("reservation", INT),
            Field::absent("refreservation", INT),
            Field::absent("special_small_block_size", INT_OR_INHERIT),
            Field::with("copies", INT_OR_INHERIT, INHERIT),
            Field::with("snapdir", SNAPDIR, INHERIT),
            Field::with("deduplication", DEDUP, INHERIT),
            Field::with("checksum", CHECKSUM, INHERIT),
            Field::with("readonly", ON_OFF, INHERIT),
            Field::with("share_type", SHARES, Default::Text("GENERIC")),
            Field::absent("encryption_options", Type::Dict),
            Field::flag("encryption"),
            Field::with("inherit_encryption", Type::Bool, Default::Bool(true)),
            Field::with("user_properties", USER_PROPERTIES, Default::EmptyList),
            Field::flag("create_ancestors"),
            $($more),+
        ])
    };
}

static CREATE_FILESYSTEM: Model = create_model!(
    "PoolDatasetCreateFilesystem",
    Type::Checked(dataset_name),
    Field::with(
        "type",
        Type::OneOf(&["FILESYSTEM"]),
        Default::Text("FILESYSTEM")
    ),
    Field::absent("aclmode", ACLMODE),
    Field::absent("acltype", ACLTYPE),
    Field::absent("atime", ON_OFF),
    Field::absent("casesensitivity", CASES),
    Field::absent("quota", QUOTA),
    Field::absent("refquota", QUOTA),
    Field::absent("recordsize", TEXT),
);

static CREATE_VOLUME: Model = create_model!(
    "PoolDatasetCreateVolume",
    Type::Checked(dataset_name),
    Field::with("type", Type::OneOf(&["VOLUME"]), Default::Text("VOLUME")),
    Field::absent("force_size", Type::Bool),
    Field::absent("sparse", Type::Bool),
    Field::required("volsize", INT),
    Field::absent("volblocksize", BLOCKS),
);

static UPDATE: Model = Model::closed(
    "PoolDatasetUpdate",
    &[
        Field::absent("comments", TEXT),
        Field::absent("sync", SYNC),
        Field::absent("snapdev", SNAPDEV),
        Field::absent("compression", COMPRESSION),
        Field::absent("exec", ON_OFF),
        Field::absent("managedby", NONEMPTY),
        Field::absent("quota_warning", PERCENT),
        Field::absent("quota_critical", PERCENT),
        Field::absent("refquota_warning", PERCENT),
        Field::absent("refquota_critical", PERCENT),
        Field::absent("reservation", INT),
        Field::absent("refreservation", INT),
        Field::absent("special_small_block_size", INT_OR_INHERIT),
        Field::absent("copies", INT_OR_INHERIT),
        Field::absent("snapdir", SNAPDIR),
        Field::absent("deduplication", DEDUP),
        Field::absent("checksum", CHECKSUM),
        Field::absent("readonly", ON_OFF),
        Field::absent("user_properties", USER_PROPERTIES),
        Field::absent("create_ancestors", Type::Bool),
        Field::absent("force_size", Type::Bool),
        Field::absent("volsize", INT),
        Field::absent("aclmode", ACLMODE),
        Field::absent("acltype", ACLTYPE),
        Field::absent("atime", ON_OFF),
        Field::absent("quota", QUOTA),
        Field::absent("refquota", QUOTA),
        Field::absent("recordsize", TEXT),
        Field::absent("user_properties_update", USER_PROPERTY_UPDATES),
    ],
);

static DELETE: Model = Model::closed(
    "PoolDatasetDeleteOptions",
    &[Field::flag("recursive"), Field::flag("force")],
);

/// Schema: 24.10, one model for both kinds.
static OLD_CREATE: Model = create_model!(
    "",
    TEXT,
    Field::with(
        "type",
        Type::OneOf(&["FILESYSTEM", "VOLUME"]),
        Default::Text("FILESYSTEM")
    ),
    Field::absent("aclmode", ACLMODE),
    Field::absent("acltype", ACLTYPE),
    Field::absent("atime", ON_OFF),
    Field::absent("casesensitivity", CASES),
    Field::absent("quota", QUOTA),
    Field::absent("refquota", QUOTA),
    Field::absent("recordsize", TEXT),
    Field::absent("force_size", Type::Bool),
    Field::absent("sparse", Type::Bool),
    Field::absent("volsize", INT),
    Field::absent("volblocksize", BLOCKS),
);

/// `pool.dataset.create` of 24.10.
pub(crate) static OLD_CREATE_PARAMS: &[Field] = &[Field::required(
    "pool_dataset_create",
    Type::Object(&OLD_CREATE),
)];
/// `pool.dataset.update` of 24.10.
pub(crate) static OLD_UPDATE_PARAMS: &[Field] = &[
    Field::required("id", TEXT),
    Field::with(
        "pool_dataset_update",
        Type::Object(&UPDATE),
        Default::EmptyObject,
    ),
];
/// `pool.dataset.delete` of 24.10.
pub(crate) static OLD_DELETE_PARAMS: &[Field] = &[
    Field::required("id", TEXT),
    Field::with(
        "dataset_delete",
        Type::Object(&DELETE),
        Default::EmptyObject,
    ),
];
/// `pool.dataset.create`
pub(crate) static CREATE_PARAMS: &[Field] = &[Field::required(
    "data",
    Type::Union(&[&CREATE_FILESYSTEM, &CREATE_VOLUME]),
)];
/// The same from 26 on: told apart by `type`, which may be left out.
pub(crate) static CREATE_PARAMS_26: &[Field] = &[Field::required(
    "data",
    Type::Told {
        tag: "type",
        models: &[
            ("FILESYSTEM", &CREATE_FILESYSTEM),
            ("VOLUME", &CREATE_VOLUME),
        ],
    },
)];
/// `pool.dataset.update`
pub(crate) static UPDATE_PARAMS: &[Field] = &[
    Field::required("id", TEXT),
    Field::required("data", Type::Object(&UPDATE)),
];
/// `pool.dataset.delete`
pub(crate) static DELETE_PARAMS: &[Field] = &[
    Field::required("id", TEXT),
    Field::with("options", Type::Object(&DELETE), Default::EmptyObject),
];

/// Recorded on 25.10.7: `pool.dataset.create` with `@` in the name; the other letters by code reading.
pub(super) fn dataset_name(name: &str) -> Option<String> {
    let fits = |part: &str| {
        part.chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_-.: ".contains(letter))
            && !part.ends_with(' ')
    };
    let valid = name.chars().count() <= 200 && name.trim_start_matches('/').split('/').all(fits);
    (!valid).then(|| "Please provide a valid dataset name according to ZFS standards".to_owned())
}
