// What can go wrong with the database.
#include <array>

#include "app/troubles.h"

namespace penstock::app {
namespace {

constexpr std::array kTroubles = {
    Trouble{
        "The database's URL",
        "store.url: the database's URL: <reason>\n"
        "store.url: a database's URL is sqlite:FILE or postgresql://user@host/database",
        "`store.url`, or one of `store.replicas`, has a part that means nothing: an option that "
        "PostgreSQL does not know, a port that is no number, options behind SQLite's file. The "
        "URL itself is not repeated: it may hold a password.",
        "`sqlite:./penstock.db`, or `postgresql://user:password@host/database?sslmode=...` with "
        "the options of PostgreSQL's own programs; several hosts are divided by commas."},
    Trouble{
        "The file of SQLite", "store.url: the database <file>: <reason>",
        "The gateway does not start: the file cannot be made or opened, or it is no database, or "
        "a damaged one.",
        "Make the folder, and let the gateway's user write there. A damaged file: `sqlite3 FILE "
        "\".recover\"`, or a copy from before."},
    Trouble{"The database is newer than the program",
            "store.url: the database <name> has version <number> of the tables, and this program "
            "knows <number>: it was made by a newer Penstock",
            "Another Penstock, of a later version, has brought the tables to a form that this one "
            "does not know.",
            "Start that version. The tables do not go back: where it must be, restore a copy from "
            "before."},
    Trouble{
        "The database does not answer", "a database does not answer",
        "No connection to PostgreSQL, or no answer within its time; `reason` says which and "
        "names the server. Known keys go on, usage waits in the spool, and it is tried again all "
        "the time: `a database answers again` follows.",
        "Look at the server. Where it refuses the connection: user, password, `pg_hba.conf`, "
        "`max_connections` (the gateways take `store.pool.total` together)."},
    Trouble{
        "The database cannot be written", "the database cannot be written",
        "SQLite could not take a batch; `reason` says why: another program holds its lock for "
        "more than 5 s, or has been reading for so long that the log (`-wal`) is full; the disk "
        "is full. Usage waits in the spool, and `the database can be written again` follows.",
        "End the other program's transaction, or make room on the disk."},
};

}  // namespace

std::span<const Trouble> store_troubles() { return kTroubles; }

}  // namespace penstock::app
