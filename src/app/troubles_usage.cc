// What can go wrong with the ledger of usage.
#include <array>

#include "app/troubles.h"

namespace penstock::app {
namespace {

constexpr std::array kTroubles = {
    Trouble{"The spool folder",
            "store.url: all places in the spool folder <folder> are in use, one by <process>\n"
            "store.url: the spool folder <folder> cannot be made: <reason>\n"
            "store.url: the spool folder <folder> cannot be opened: <reason>\n"
            "store.url: <folder>/lock cannot be opened: <reason>\n"
            "store.url: <folder>/lock cannot be locked: <reason>",
            "The gateway does not start: usage waits for the store in this folder, which stands "
            "beside the SQLite file (`penstock.db-spool`) or, with PostgreSQL, is "
            "`./penstock-spool`. Another gateway has it, or it cannot be written.",
            "Start the gateway in a folder of its own, or give each its own `store.url`; make the "
            "folder writable."},
    Trouble{"Usage waits for the store", "usage rows wait for the store",
            "The database did not take what was used; `reason` says why. Rows are kept in the "
            "spool folder and written when it is back, each once; `waiting` is how many there are. "
            "Requests are answered meanwhile.",
            "Bring the database back. `store.usage.queue` is how many rows may wait: what comes "
            "beyond it is dropped."},
    Trouble{"Usage is dropped", "usage rows are dropped: there is no room for more",
            "The database was away for longer than `store.usage.queue` rows last, or the disk of "
            "the spool folder is full and so is the memory set aside for it. `rows` were not "
            "recorded: the newest, what waits is kept.",
            "Bring the database back or make room on the disk; where outages last longer, raise "
            "`store.usage.queue`."},
    Trouble{"The spool cannot grow", "usage rows wait in memory: the spool cannot grow",
            "A file of the spool could not be made; most often the disk is full. Rows go on to the "
            "database; those on the way would be lost if the process were killed.",
            "Make room on the disk of the spool folder; it is tried again by itself."},
    Trouble{"The spool cannot be synced", "the usage spool cannot be synced",
            "The disk of the spool folder failed to write; `reason` is the kernel's. What was "
            "recorded is safe from the end of the process, and not from the machine's.",
            "Look at the disk (`dmesg`)."},
    Trouble{"A file of the spool is set aside", "a file of the usage spool is set aside",
            "`reason` says what is wrong with it: a power failure left it incomplete, it was made "
            "by another version of the program, or it is none of ours. Its good records were "
            "written; the file stays beside the spool as `*.damaged`.",
            "For a file of another version, start that version once with this folder: rename the "
            "file to end in `.spool` again. Else it can be removed when nobody wants to look at "
            "it."},
    Trouble{"A row is set aside", "a usage row is set aside",
            "The database refused this row for ever, or it cannot be read; `reason` says why. The "
            "others were written. It is kept in `folder`, in a file `*.refused`, as far as `kept` "
            "says so.",
            "It is a fault of the program: please report it, with `reason`."},
    Trouble{"`penstock usage` finds no database",
            "penstock usage: there is no database <file> yet; `penstock serve` makes it. "
            "`store.url` in the configuration, or --store, says where it is",
            "The file of the database that the configuration names is not there: the gateway has "
            "another configuration, or was started in another folder.",
            "Give the gateway's own `--config`, or the file: `--store sqlite:FILE`."},
    Trouble{
        "`penstock usage` was asked wrongly",
        "penstock usage: --by cannot be \"<word>\"; it is of <columns>; did you mean <column>?\n"
        "penstock usage: --by cannot be \"<word>\"; it is of <columns>\n"
        "penstock usage: --by names <column> twice\n"
        "penstock usage: --by takes one of hour, day and month\n"
        "penstock usage: --since takes a day (2026-11-27), a month (2026-11), a time "
        "(2026-11-27T04:30) or how long ago (24h, 7d), not \"<word>\"\n"
        "penstock usage: --until takes a day (2026-11-27), a month (2026-11), a time "
        "(2026-11-27T04:30) or how long ago (24h, 7d), not \"<word>\"\n"
        "penstock usage: the time ends (<time>) before it begins (<time>)\n"
        "penstock usage: WHAT cannot be \"<word>\"; it can be engagement\n"
        "penstock usage: --format cannot be \"<word>\"; it can be table, csv or json\n"
        "penstock usage: --status takes a status such as 200, not \"<word>\"",
        "An option means nothing. Exit code 2.", "`penstock usage --help` says what they take."},
    Trouble{"The last minutes of the budgets",
            "the last minutes of the budgets could not be written down\n"
            "minutes of the budgets were given up: the store was away for a week",
            "The database did not take what was counted for the performance budgets; `reason` says "
            "why. What other nodes see, and the report of the month, is without it.",
            "Look at the database. Nothing else is lost with it."},
    Trouble{"`penstock budgets` was asked wrongly",
            "penstock budgets: --format is table or json\n"
            "penstock budgets: --window is 5m, 30m, 1h, 2h, 6h, 1d, 3d or 30d",
            "An option means nothing. Exit code 2.",
            "`penstock budgets --help` says what they take."},
    Trouble{"`penstock complexity` was asked wrongly",
            "penstock complexity: give a FILE, or a question with --question\n"
            "penstock complexity: --format cannot be \"<word>\"; it can be table or json\n"
            "penstock complexity: <file> cannot be read, or is empty\n"
            "penstock complexity: <file>: line <number> is no request with messages or a prompt\n"
            "penstock complexity: <file>: line <number> has a label other than simple, moderate "
            "and complex",
            "There is nothing to score, or a line of the file is neither a request nor an object "
            "with `request`. Exit code 2.",
            "`penstock complexity --help` shows both."},
};

}  // namespace

std::span<const Trouble> usage_troubles() { return kTroubles; }

}  // namespace penstock::app
