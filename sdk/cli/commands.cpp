#include "commands.hpp"

#include <limits>

namespace ron::cli {

namespace {

constexpr std::size_t many = std::numeric_limits<std::size_t>::max();

constexpr option_spec put_options[] = {
    {"--publish", "PREFIX", "also publish each file as PREFIX/<relative path>"},
    {"--jobs", "N", "files at once, 1..16, default 4"},
};
constexpr option_spec get_options[] = {
    {"-o", "FILE", "where to write, - for stdout; default: the last part of the name"},
    {"--range", "FIRST[-LAST]", "only these bytes, both included"},
    {"--tree", "", "all names below NAME, into the folder given by -o"},
};
constexpr option_spec publish_options[] = {
    {"--if-version", "N", "only if the name is at this version"},
    {"--if-new", "", "only if the name does not exist"},
};
constexpr option_spec unpublish_options[] = {
    {"--if-version", "N", "only if the name is at this version"},
};
constexpr option_spec scrub_options[] = {
    {"--status", "", "start nothing, say how the last or running scrub is"},
};
constexpr option_spec names_options[] = {{"--limit", "N", "at most so many, default 100"}};
constexpr option_spec send_options[] = {
    {"--key", "KEY", "messages of one key are delivered one at a time"},
    {"--once", "ID", "an idempotency key: sending twice keeps one message"},
    {"--each-line", "", "every line of FILE, or of stdin, is a message; up to 100 at a time"},
    {"--delay", "MS", "not to be delivered earlier, at most 900000"},
    {"--ttl", "S", "forget it unless it is delivered in so many seconds"},
};
constexpr option_spec page_options[] = {{"--limit", "N", "at most so many, default 100"}};
constexpr option_spec recv_options[] = {
    {"--max", "N", "at most so many messages, default 10"},
    {"--wait", "S", "wait up to so many seconds for the first one, default 0"},
    {"--visibility", "MS", "hidden from others for so long, 250..43200000"},
};
constexpr option_spec watch_options[] = {
    {"--ack", "", "acknowledge each message once it is printed; others come again"},
    {"--feed", "", "only look: take nothing, see everything that others see"},
    {"--after", "ID", "with --feed: go on after this message, 0 = from the first one"},
    {"--max", "N", "end after so many messages"},
    {"--visibility", "MS", "hidden from others for so long, 250..43200000"},
};
constexpr option_spec actors_options[] = {{"--type", "TYPE", "only actors of this type"}};
constexpr option_spec ping_options[] = {{"--count", "N", "round trips, default 5"}};

constexpr option_spec store_options[] = {
    {"--data-dir", "DIR", "the node's node.data-dir, default /var/lib/ron"},
    {"--config-file", "FILE", "find the stores by a configuration of the node"},
};

constexpr command table[] = {
    {"put", "PATH...", "store files and folders",
     "  ronctl put photo.jpg\n  ronctl put --publish alice/photos ~/photos\n", put_options, 1, many,
     run_put},
    {"get", "NAME|b3:ID", "fetch an object by name or id",
     "  ronctl get alice/photos/1.jpg\n  ronctl get b3:... -o out.bin --range 0-1023\n"
     "  ronctl get --tree alice/photos -o photos\n",
     get_options, 1, 1, run_get},
    {"publish", "NAME b3:ID", "let a name point at an object",
     "  ronctl publish alice/photo b3:...\n  ronctl publish --if-version 7 alice/photo b3:...\n",
     publish_options, 2, 2, run_publish},
    {"unpublish", "NAME", "remove a name; the object stays",
     "  ronctl unpublish alice/photo\n", unpublish_options, 1, 1, run_unpublish},
    {"rm",
     "b3:ID...",
     "remove objects that are neither named nor pinned",
     "  ronctl rm b3:...\n",
     {},
     1,
     many,
     run_rm},
    {"pin",
     "b3:ID...",
     "hold objects: a pinned object cannot be removed",
     "  ronctl pin b3:...\n",
     {},
     1,
     many,
     run_pin},
    {"unpin",
     "b3:ID...",
     "take one pin off each object",
     "  ronctl unpin b3:...\n",
     {},
     1,
     many,
     run_unpin},
    {"pins", "", "list pinned objects", "  ronctl pins\n", {}, 0, 0, run_pins},
    {"scrub", "", "check every stored byte against its id; exit 1 if any is damaged",
     "  ronctl scrub\n  ronctl scrub --status\n", scrub_options, 0, 0, run_scrub},
    {"replication", "", "how many copies there are, and how the peers are",
     "  ronctl replication\n  ronctl replication -o json | jq .rf_observed\n", {}, 0, 0,
     run_replication},
    {"resolve",
     "NAME|b3:ID",
     "show what a name or id leads to",
     "  ronctl resolve alice/photo\n",
     {},
     1,
     1,
     run_resolve},
    {"names", "[PREFIX]", "list names", "  ronctl names alice/\n", names_options, 0, 1, run_names},
    {"view",
     "VIEW/ID",
     "show a hydrated view",
     "  ronctl view object/alice/photo\n",
     {},
     1,
     1,
     run_view},
    {"mb send", "TOPIC [TEXT|FILE]", "send a message (stdin without TEXT), or each line of a file",
     "  ronctl mb send jobs 'resize 1.jpg'\n  ronctl mb send --once order-17 orders <order.json\n"
     "  ronctl mb send --each-line jobs list.txt\n"
     "  ls | ronctl mb send --each-line --once today jobs\n",
     send_options, 1, 2, run_send},
    {"mb recv", "TOPIC", "receive messages; they come back unless acknowledged",
     "  ronctl mb recv jobs\n  ronctl mb recv --wait 30 --max 1 jobs\n", recv_options, 1, 1,
     run_recv},
    {"mb watch", "TOPIC", "print messages as they come, until ^C",
     "  ronctl mb watch --ack jobs\n  ronctl mb watch --feed news\n"
     "  ronctl mb watch --feed --after 0 -o json news | jq -r .message_id\n",
     watch_options, 1, 1, run_watch},
    {"mb ack",
     "TOPIC RECEIPT...",
     "acknowledge received messages",
     "  ronctl mb ack jobs 1f.9c3a\n",
     {},
     2,
     many,
     run_ack},
    {"mb nack",
     "TOPIC RECEIPT...",
     "give received messages back; they come again after a while",
     "  ronctl mb nack jobs 1f.9c3a\n",
     {},
     2,
     many,
     run_nack},
    {"mb peek", "TOPIC", "heads of waiting messages; changes nothing",
     "  ronctl mb peek jobs\n  ronctl mb peek --limit 10 jobs\n", page_options, 1, 1, run_peek},
    {"mb stats", "TOPIC", "how many messages of a topic wait, are in flight, are dead",
     "  ronctl mb stats jobs\n", {}, 1, 1, run_topic_stats},
    {"mb dlq", "TOPIC", "dead letters: delivered too often without an acknowledgement",
     "  ronctl mb dlq jobs\n", page_options, 1, 1, run_dead},
    {"mb redrive", "TOPIC", "deliver all dead letters of a topic again",
     "  ronctl mb redrive jobs\n", {}, 1, 1, run_redrive},
    {"store backup", "DIR", "copy the stores of a node, running or not, to an empty folder",
     "  ronctl store backup --data-dir /var/lib/ron /backup/monday\n"
     "  ron-node --node.data-dir=/backup/monday     # a node on the copy\n",
     store_options, 1, 1, run_store_backup},
    {"store verify", "[DIR]", "check every stored byte and record; exit 1 if any is damaged",
     "  ronctl store verify /backup/monday\n  ronctl store verify -o json --data-dir "
     "/var/lib/ron\n",
     store_options, 0, 1, run_store_verify},
    {"store compact", "", "give free room back to the file system; the node must be stopped",
     "  ronctl store compact --data-dir /var/lib/ron\n", store_options, 0, 0, run_store_compact},
    {"actors", "", "who is alive inside the node",
     "  ronctl actors\n  ronctl actors --type index\n", actors_options, 0, 0, run_actors},
    {"ping", "", "round trips to the node", "  ronctl ping --count 10\n", ping_options, 0, 0,
     run_ping},
    {"doctor",
     "",
     "find out why the node cannot be reached",
     "  ronctl doctor\n",
     {},
     0,
     0,
     run_doctor},
    {"token",
     "",
     "print a one-hour operator capability for curl",
     "  curl -H \"Authorization: Bearer $(ronctl token)\" -T photo.jpg "
     "http://127.0.0.1:8080/v1/o\n",
     {},
     0,
     0,
     run_token},
};

} // namespace

std::span<const command> commands() {
  return table;
}

} // namespace ron::cli
