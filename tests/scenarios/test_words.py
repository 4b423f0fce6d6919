"""The command line's description in its other forms: the man page, completion; and exit codes."""

import os
import pathlib
import pty
import re
import signal
import subprocess

from harness.penstock import LIMIT, PROGRAM, Process, Scenario, run


def commands():
    """The commands, as the help lists them."""
    return re.findall(r"^  (\w+)  +[A-Z]", run("--help")[1].split("To run it:")[1], flags=re.M)


def options(command):
    return re.findall(r"(?:^  |, )(--[\w-]+)", run(command, "--help")[1], flags=re.M)


class Completion(Scenario):
    def setUp(self):
        super().setUp()
        self.script = self.folder / "penstock.bash"
        code, output = run("completion", "bash")
        self.assertEqual(code, 0)
        self.script.write_text(output)
        (self.folder / "notes").mkdir()
        (self.folder / "night.yaml").touch()
        (self.folder / "two words.yaml").touch()

    def complete(self, *words, before=""):
        """What bash would offer behind these words; the last is the one under the cursor."""
        program = before + r'''
            source "$1"; shift
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            complete -p penstock >/dev/null || exit 3
            "$(complete -p penstock | sed -E 's/.*-F ([^ ]+) .*/\1/')" || exit 4
            [ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"'''
        done = subprocess.run(["bash", "--norc", "-c", program, "bash", self.script, *words],
                              cwd=self.folder, capture_output=True, timeout=LIMIT, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return sorted(done.stdout.decode().splitlines())

    def test_every_command_and_each_of_its_options_is_offered(self):
        self.assertEqual(self.complete("penstock", ""), sorted(commands()))
        self.assertIn("errors", commands())
        for command in commands():
            with self.subTest(command):
                self.assertEqual(self.complete("penstock", command, "--"), sorted(options(command)))
        self.assertEqual(self.complete("penstock", "se"), ["serve", "settings"])
        self.assertEqual(self.complete("penstock", "--v"), ["--version"])

    def test_values_are_offered_where_they_are_known(self):
        files = ["night.yaml", "notes", "penstock.bash", "two words.yaml"]
        for words, wanted in ((("serve", "--config", ""), files), (("check", ""), files),
                              (("load", "--file", "n"), ["night.yaml", "notes"]),
                              (("serve", "--config", "=", "ni"), ["night.yaml"]),
                              (("serve", "--config", "="), files),
                              (("serve", "--config", "tw"), ["two words.yaml"]),
                              (("serve", "--docs", ""), ["notes"]),
                              (("serve", "--engine", ""), []), (("ask", ""), []),
                              (("completion", ""), ["bash"]), (("help", ""), sorted(commands())),
                              (("keys", "r"), ["revoke", "rotate"]), (("keys", "--format", ""), ["json", "table"]),
                              (("errors", "model"), ["model_not_allowed", "model_not_found"])):
            with self.subTest(words):
                self.assertEqual(self.complete("penstock", *words), wanted)

    def test_what_was_given_is_not_offered_again_unless_it_may_be(self):
        self.assertNotIn("--plain", self.complete("penstock", "ask", "--plain", "--p"))
        self.assertIn("--header", self.complete("penstock", "load", "--header", "a: b", "--h"))

    def test_it_needs_nothing_of_bash_completion_and_bears_strictness(self):
        self.assertEqual(self.complete("penstock", "se", before="set -u\n"), ["serve", "settings"])
        self.assertNotIn("_init_completion", self.script.read_text())


class ManPage(Scenario):
    def page(self):
        code, output = run("man")
        self.assertEqual(code, 0)
        return output

    def test_it_is_clean_roff(self):
        done = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8"], input=self.page().encode(),
                              capture_output=True, timeout=LIMIT, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    def test_it_says_what_the_help_says(self):
        text = subprocess.run(["groff", "-man", "-Tascii", "-P-cbou"], input=self.page().encode(),
                              capture_output=True, timeout=LIMIT, check=True).stdout.decode()
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "ENVIRONMENT", "FILES",
                        "SIGNALS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"):
            self.assertRegex(text, rf"(?m)^{section}$")
        words = " ".join(text.split())
        for command in commands():
            help_text = run(command, "--help")[1]
            usage = re.search(r"Usage: (.*)", help_text).group(1)
            self.assertEqual(words.count(usage), 2, usage)  # the synopsis and its own section
            for option in options(command):
                self.assertIn(option, words)
            # The examples, to the letter.
            for line in re.findall(r"^  penstock .*", help_text, flags=re.M):
                self.assertIn(line.strip(), text)
        for variable in ("OPENAI_API_KEY", "PENSTOCK_API_KEY", "PORT", "CACHING_ENABLED"):
            self.assertIn(variable, words)


class ExitCodes(Scenario):
    def test_every_command_has_those_that_are_promised(self):
        good = self.folder / "good.yaml"
        good.write_text("listen: {address: 127.0.0.1:0}\nadmin: {address: 127.0.0.1:0}\n"
                        "engines: [{name: s, kind: simulated}]\n")
        bad = self.folder / "bad.yaml"
        bad.write_text("listne: {}\n")
        behind = self.engine()
        engine = behind.url
        gateway = f"http://127.0.0.1:{self.gateway(self.to(behind)).admin_port}"
        away = "http://127.0.0.1:1"
        quick = ("--warmup", "0s", "--duration", "50ms", "--connections", "1")
        store = ("--store", f"sqlite:{self.folder}/a.db")
        wanted = {
            "serve": {1: ("--docs", "/nowhere"), 2: ("--config", bad)},
            "check": {0: (good,), 2: (bad,)},
            "ask": {0: ("--url", engine, "Hello?"), 1: ("--url", away, "Hello?"),
                    2: ("--url", "x", "Hello?")},
            "engine": {1: ("--listen", "203.0.113.7:0"), 2: ("--listen", "x")},
            "load": {0: ("--url", engine, "--model", "m", *quick), 1: ("--url", away),
                     2: ("--url", "x")},
            "keys": {0: ("list", *store), 1: ("show", "x", *store), 2: ("x", *store)},
            "tenants": {0: ("list", *store), 1: ("show", "x", *store), 2: ("x", *store)},
            "usage": {0: ("--store", f"sqlite:{self.folder}/a.db"), 1: ("--store", "sqlite:/nowhere/x.db"),
                      2: ("--by", "x")},
            "cache": {0: ("stats", "--admin", gateway), 1: ("stats", "--admin", away), 2: ("x",)},
            "trace": {0: ("--admin", gateway), 1: ("x", "--admin", gateway), 2: ("--format", "x")},
            "profile": {0: ("--admin", gateway, "--seconds", "1"), 1: ("--admin", away), 2: ("--format", "x")},
            "budgets": {0: ("--admin", gateway), 1: ("--admin", away), 2: ("--window", "x")},
            "rules": {0: (), 2: ("--config", bad)},
            "migrate": {0: store, 1: ("--store", "sqlite:/nowhere/x.db"), 2: ("--config", bad)},
            "complexity": {0: ("--question", "Why?"), 2: ("/nowhere",)},
            "settings": {0: (), 2: ("x",)},
            "metrics": {0: (), 2: ("x",)},
            "errors": {0: (), 2: ("x",)},
            "completion": {0: ("bash",), 2: ("zsh",)},
            "man": {0: (), 2: ("x",)},
            "help": {0: (), 2: ("x",)},
        }
        self.assertEqual(sorted(wanted), sorted(commands()))
        for command, codes in wanted.items():
            for code, args in codes.items():
                with self.subTest(command, code=code):
                    ended, output = run(command, *args)
                    self.assertEqual(ended, code, output)
                    self.assertNotIn("\x1b", output)

    def test_the_documents_say_the_same_of_them(self):
        rows = re.findall(r"^\| \d \| .* \|$", run("errors")[1], flags=re.M)
        self.assertEqual([row[2] for row in rows], ["0", "1", "2"])
        overview = (pathlib.Path(__file__).parents[2] / "docs/commands.md").read_text()
        self.assertEqual(re.findall(r"^\| \d \| .* \|$", overview, flags=re.M), rows)

    def test_what_runs_ends_with_0_when_it_is_told_to(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            gateway = self.gateway(self.documents(a="# A\n\ntext\n"))
            gateway.signal(number)
            self.assertEqual(gateway.wait(), 0)
            engine = Process("engine", "--listen", "127.0.0.1:0")
            self.addCleanup(engine.kill)
            engine.wait_for("listening")
            engine.signal(number)
            self.assertEqual(engine.wait(), 0)

    def test_a_signal_that_nobody_awaits_ends_a_command_as_the_shell_knows_it(self):
        engine = self.engine(lambda call: (call.request(), call.gone()))
        ask = Process("ask", "--url", engine.url, "--model", "m", "Hello?")
        self.addCleanup(ask.kill)
        engine.wait_for(lambda e: e.calls)
        ask.signal(signal.SIGINT)
        self.assertEqual(ask.wait(), -signal.SIGINT)

    def test_a_reader_that_has_gone_is_no_noise(self):
        for command in ("settings", "errors", "man", "--help"):
            with self.subTest(command):
                ours, theirs = os.pipe()
                os.close(ours)
                done = subprocess.run([PROGRAM, command], stdout=theirs, stderr=subprocess.PIPE,
                                      timeout=LIMIT, check=False)
                os.close(theirs)
                self.assertEqual((done.returncode, done.stderr), (-signal.SIGPIPE, b""))

    def test_output_that_cannot_be_written_is_a_failure(self):
        for command in ("settings", "errors", "man", "help", "--help", "--version"):
            with self.subTest(command), open("/dev/full", "wb") as full:
                done = subprocess.run([PROGRAM, command], stdout=full, stderr=subprocess.PIPE,
                                      timeout=LIMIT, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"cannot write to standard output: No space left", done.stderr)

    def test_a_terminal_gets_no_more_than_a_pipe(self):
        """No colours that someone would have to turn off."""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        done = subprocess.run([PROGRAM, "--version"], stdout=theirs, timeout=LIMIT, check=False)
        os.close(theirs)
        self.assertEqual((done.returncode, os.read(ours, 1000).split()),
                         (0, run("--version")[1].encode().split()))


class Installing(Scenario):
    def test_the_program_comes_with_its_page_and_its_completion(self):
        subprocess.run(["cmake", "--install", PROGRAM.parent, "--prefix", self.folder],
                       capture_output=True, timeout=LIMIT * 3, check=True)
        installed = self.folder / "bin/penstock"
        self.assertTrue(os.access(installed, os.X_OK))
        self.assertEqual((self.folder / "share/man/man1/penstock.1").read_text(), run("man")[1])
        self.assertEqual((self.folder / "share/bash-completion/completions/penstock").read_text(),
                         run("completion", "bash")[1])
