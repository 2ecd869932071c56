// The key that the secrets of the database are encrypted with: found at the start, changed by rotation. The database
// knows which key it is by its id alone (table secret_keys, one row).
#pragma once
#include <filesystem>
#include <string>

#include "shared/base/timestamp.hpp"
#include "shared/secrets/secret_box.hpp"
#include "shared/storage/database.hpp"

namespace codegen::api {

struct SecretKeySource {
    std::string key;                 // SECRETS_KEY; comes first
    std::filesystem::path file;      // SECRETS_KEY_FILE; must exist
    std::filesystem::path own_file;  // neither: this one, made for a database that has no key yet
    // While `own_file` is changed; what a crash left of that is finished at the next start.
    std::filesystem::path next_file() const { return own_file.string() + ".new"; }
};

// Fatal: no key, or another one than the database's.
Task<Result<secrets::SecretBox>> open_secrets(storage::Database* database, SecretKeySource source, Timestamp now);

// For a transaction that writes what is sealed with this key: expects that it is still the database's.
storage::Statement claim_key(const std::string& key_id, Timestamp now);

struct Rotation {
    std::string key_id;        // the new one
    std::int64_t secrets = 0;  // how many were encrypted anew; none: that was done before
};
// Encrypts every secret anew and makes the new key the database's, in one transaction: an interrupted one has changed
// nothing and is done again. The tables must be migrated. Without `next` the key in own_file is replaced by a new one;
// else `next` is a file with the new key, made when it does not exist. An api that still runs with the old key refuses
// secrets (503) until it is started again.
Task<Result<Rotation>> rotate_secrets(storage::Database* database, SecretKeySource source, std::filesystem::path next,
                                      Timestamp now);

}  // namespace codegen::api
