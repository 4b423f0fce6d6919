"""Keys, tenants and the audit log: by the admin API and by the commands, on one database."""

import json
import re

from harness.penstock import TOKEN, Scenario, run, wait_until

ADMIN = {"authorization": f"Bearer {TOKEN}"}


def fits(value, schema, document):
    """Whether a value is what a schema of the OpenAPI document says; as much of it as is used."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return fits(value, schema, document)
    if not all(fits(value, part, document) for part in schema.get("allOf", ())):
        return False
    if "oneOf" in schema and sum(fits(value, part, document) for part in schema["oneOf"]) != 1:
        return False
    if "const" in schema and value != schema["const"] or "enum" in schema and value not in schema["enum"]:
        return False
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    of = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
          "number": (int, float), "null": type(None)}
    if kinds and not any(isinstance(value, of[kind]) for kind in kinds):
        return False
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if isinstance(value, list):
        return all(fits(one, schema.get("items", {}), document) for one in value)
    if isinstance(value, dict):
        members = schema.get("properties", {})
        if set(schema.get("required", ())) - set(value):
            return False
        if schema.get("additionalProperties") is False and set(value) - set(members):
            return False
        return all(fits(one, members.get(name, {}), document) for name, one in value.items())
    return True


class AdminKeys(Scenario):
    def guarded(self, *more):
        self.database = f"sqlite:{self.folder}/keys.db"
        return self.gateway(self.to(self.engine()), {
            "admin": {"token": TOKEN}, "store": {"url": self.database}}, *more)

    def call(self, gateway, method, path, body=None, status=200, headers=None):
        """The answer's JSON, once it is what the document says of this operation."""
        options = {"headers": {**ADMIN, **(headers or {})}}
        if body is not None:
            options["body"] = body if isinstance(body, bytes) else json.dumps(body).encode()
            options["headers"].setdefault("content-type", "application/json")
        answer = gateway.admin(path, method=method, **options)
        self.assertEqual(answer.status, status, (method, path, answer.body))
        self.document = getattr(self, "document", None) or gateway.admin(
            "/admin/v1/openapi.json", headers=ADMIN).json
        bare = path.split("?")[0]
        template = next(known for known in self.document["paths"]
                        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known), bare))
        responses = self.document["paths"][template][method.lower()]["responses"]
        self.assertIn(str(status), responses, (method, path))
        response = responses[str(status)]
        if "$ref" in response:
            response = self.document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
        schema = response["content"]["application/json"]["schema"]
        self.assertTrue(fits(answer.json, schema, self.document), (schema, answer.json))
        return answer.json

    def keys(self, *args, store=None):
        return run("keys", *args, "--store", store or self.database)

    def new_key(self, *args):
        code, output = self.keys("create", *args)
        self.assertEqual(code, 0, output)
        return re.search(r"^pk_[0-9A-Za-z]{49}$", output, re.M).group(), \
            re.search(r"key_\w{16}", output).group()

    def test_a_keys_life(self):
        gateway = self.guarded()
        tenant = self.call(gateway, "POST", "/admin/v1/tenants", {
            "name": "acme", "limits": {"requests": "600/m", "spend": {"month": 100}}}, 201)
        self.assertEqual(tenant["limits"], {"requests": "600/m", "spend": {"month": 100}})
        made = self.call(gateway, "POST", "/admin/v1/keys", {
            "tenant": "acme", "name": "ci", "models": ["m"], "priority": "batch",
            "cache_scope": "key", "expires": "30d",
            "limits": {"requests": "100/m", "tokens": "none", "inflight": 5,
                       "spend": {"day": 1.5, "month": "none"}}}, 201)
        self.assertTrue(made["key"].startswith(made["prefix"]))
        path = f"/admin/v1/keys/{made['id']}"
        key = self.call(gateway, "GET", path)
        self.assertNotIn("key", key)
        self.assertEqual(key["limits"], {"requests": "100/m", "tokens": "none", "inflight": 5,
                                         "spend": {"day": 1.5, "month": "none"}})
        self.assertEqual((key["state"], key["priority"], key["cache_scope"]), ("good", "batch", "key"))
        self.assertIn("admin token, from 127.0.0.1:", key["created_by"])

        changed = self.call(gateway, "PATCH", path, {
            "name": "nightly", "cache_scope": None, "expires": None,
            "limits": {"requests": None, "spend": {"day": "0.25"}}})
        self.assertEqual(changed["limits"], {"tokens": "none", "inflight": 5,
                                             "spend": {"day": 0.25, "month": "none"}})
        self.assertEqual((changed["name"], changed["cache_scope"], changed["expires"]),
                         ("nightly", None, None))

        fresh = self.call(gateway, "POST", path + "/rotate", {"grace": "1h"}, 201)
        self.assertEqual(self.call(gateway, "GET", path)["replaced_by"], fresh["id"])
        self.assertEqual(fresh["limits"], changed["limits"])
        self.call(gateway, "POST", path + "/rotate", {}, 409)
        self.assertEqual(self.call(gateway, "DELETE", path)["state"], "revoked")
        self.assertEqual(self.call(gateway, "DELETE", path)["state"], "revoked")
        self.call(gateway, "PATCH", path, {"name": "x"}, 409)
        listed = self.call(gateway, "GET", "/admin/v1/keys?tenant=acme")
        self.assertEqual({one["id"] for one in listed["keys"]}, {made["id"], fresh["id"]})
        self.assertIsNone(listed["more"])

        actions = [one["action"] for one in self.call(gateway, "GET", "/admin/v1/audit")["changes"]
                   if one["who"] != "the program"]
        self.assertEqual(actions, ["key.revoke", "key.rotate", "key.update", "key.create",
                                   "tenant.create"])
        everything = gateway.admin("/admin/v1/audit", headers=ADMIN).body.decode() + gateway.output
        self.assertNotIn(made["key"], everything)
        self.assertNotIn(fresh["key"], everything)

    def test_a_tenants_life(self):
        gateway = self.guarded()
        for name in ("b@x.example", "a", "c"):
            self.call(gateway, "POST", "/admin/v1/tenants", {"name": name}, 201)
        self.call(gateway, "POST", "/admin/v1/tenants", {"name": "a"}, 409)
        page = self.call(gateway, "GET", "/admin/v1/tenants?limit=2")
        self.assertEqual([one["name"] for one in page["tenants"]], ["a", "b@x.example"])
        page = self.call(gateway, "GET", f"/admin/v1/tenants?limit=2&after={page['more']}")
        self.assertEqual([one["name"] for one in page["tenants"]], ["c"])
        changed = self.call(gateway, "PATCH", "/admin/v1/tenants/b%40x.example",
                            {"models": ["m"], "cache_scope": "shared", "limits": {"inflight": 0}})
        self.assertEqual((changed["models"], changed["limits"]), (["m"], {"inflight": 0}))
        self.call(gateway, "POST", "/admin/v1/keys", {"tenant": "c", "name": "k"}, 201)
        self.call(gateway, "DELETE", "/admin/v1/tenants/c")
        self.call(gateway, "GET", "/admin/v1/tenants/c", status=404)
        self.call(gateway, "POST", "/admin/v1/keys", {"tenant": "c", "name": "k"}, 404)
        keys = self.call(gateway, "GET", "/admin/v1/keys?tenant=c")["keys"]
        self.assertEqual([one["state"] for one in keys], ["revoked"])
        self.call(gateway, "POST", "/admin/v1/tenants", {"name": "c"}, 201)  # made anew

    def test_pages_hold_all_keys_once(self):
        gateway = self.guarded()
        self.call(gateway, "POST", "/admin/v1/tenants", {"name": "t"}, 201)
        made = {self.call(gateway, "POST", "/admin/v1/keys", {"tenant": "t", "name": f"k{i}"}, 201)["id"]
                for i in range(7)}
        seen, after = [], ""
        while after is not None:
            page = self.call(gateway, "GET", f"/admin/v1/keys?limit=3&after={after}")
            seen += [one["id"] for one in page["keys"]]
            after = page["more"]
        self.assertEqual(seen, sorted(made))
        changes, before = [], ""
        while before is not None:
            page = self.call(gateway, "GET", f"/admin/v1/audit?limit=3&before={before}")
            changes += [one["id"] for one in page["changes"] if one["who"] != "the program"]
            before = page["more"]
        self.assertEqual((len(changes), changes), (8, sorted(changes, reverse=True)))

    def test_what_a_body_cannot_say_is_refused_by_name(self):
        gateway = self.guarded()
        self.call(gateway, "POST", "/admin/v1/tenants", {"name": "t"}, 201)
        key = {"tenant": "t", "name": "k"}
        for body, param, code in (
                (b'{"tenant":"t","name":"k","mdoels":[]}', "mdoels", "unknown_member"),
                (b'{"tenant":"t","name":"k","name":"l"}', "name", "duplicate_member"),
                (b'{"tenant":"t","name":"k","limits":{"rps":1}}', "limits.rps", "unknown_member"),
                (b'{"tenant":"t","name":"k","limits":{"spend":{"day":1,"day":2}}}',
                 "limits.spend.day", "duplicate_member"),
                ({**key, "limits": {"requests": "100"}}, "limits.requests", "invalid_value"),
                ({**key, "limits": {"inflight": -1}}, "limits.inflight", "invalid_value"),
                ({**key, "limits": {"inflight": 1.5}}, "limits.inflight", "invalid_value"),
                ({**key, "limits": {"spend": {"day": 1e12}}}, "limits.spend.day", "invalid_value"),
                ({**key, "limits": []}, "limits", "invalid_value"),
                ({**key, "models": "m"}, "models", "invalid_value"),
                ({**key, "priority": "first"}, "priority", "invalid_value"),
                ({**key, "cache_scope": 1}, "cache_scope", "invalid_value"),
                ({**key, "expires": "soon"}, "expires", "invalid_value"),
                ({**key, "expires": "2027-02-30"}, "expires", "invalid_value"),
                ({**key, "name": ""}, None, "invalid_value"),
                ({**key, "name": "a\nb"}, None, "invalid_value"),
                ({"name": "k"}, "tenant", "missing_required_parameter"),
                ({"tenant": "t"}, "name", "missing_required_parameter"),
                (b"[]", None, "invalid_json"), (b"{", None, "invalid_json"),
                (b'{"name":"\xff"}', None, "invalid_json")):
            error = self.call(gateway, "POST", "/admin/v1/keys", body, 400)["error"]
            self.assertEqual((error["code"], error["param"]), (code, param), body)
        for name in ("", "a b", "a:b", "{a}", "../a", "x" * 65, "'; DROP TABLE tenants; --"):
            self.call(gateway, "POST", "/admin/v1/tenants", {"name": name}, 400)
        for query in ("?limt=1", "?limit=0", "?limit=1001", "?limit=1&limit=2"):
            self.call(gateway, "GET", "/admin/v1/keys" + query, status=400)
        self.call(gateway, "POST", "/admin/v1/keys", key, 415, {"content-type": "text/plain"})
        self.assertEqual(self.call(gateway, "GET", "/admin/v1/keys")["keys"], [])

    def test_sql_in_any_field_is_text(self):
        gateway = self.guarded()
        self.call(gateway, "POST", "/admin/v1/tenants", {"name": "t"}, 201)
        evil = "'); DELETE FROM api_keys; --"
        made = self.call(gateway, "POST", "/admin/v1/keys",
                         {"tenant": "t", "name": evil, "models": [evil]}, 201)
        self.call(gateway, "GET", "/admin/v1/keys/x'%20OR%20'1'='1", status=404)
        self.assertEqual(self.call(gateway, "GET", "/admin/v1/keys?tenant=x'%20OR%20'1'='1")["keys"], [])
        self.call(gateway, "GET", "/admin/v1/audit?before=1%20OR%201=1", status=400)
        key = self.call(gateway, "GET", f"/admin/v1/keys/{made['id']}")
        self.assertEqual((key["name"], key["models"]), (evil, [evil]))

    def test_nobody_without_the_token_reaches_it(self):
        gateway = self.guarded()
        for method, path in (("GET", "/admin/v1/keys"), ("POST", "/admin/v1/keys"),
                             ("DELETE", "/admin/v1/keys/x"), ("GET", "/admin/v1/audit"),
                             ("GET", "/admin/v1/tenants")):
            for headers in ({}, {"authorization": "Bearer wrong"}):
                self.assertEqual(gateway.admin(path, method=method, headers=headers).status, 401)
        allow = gateway.admin("/admin/v1/keys/x", method="PUT", headers=ADMIN).headers["allow"]
        self.assertEqual(allow, "GET, HEAD, PATCH, DELETE")

    def test_a_key_opens_the_gateway_until_it_is_revoked(self):
        gateway = self.guarded({"auth": {"mode": "keys"}})
        code, output = run("tenants", "create", "acme", "--store", self.database)
        self.assertEqual(code, 0, output)
        key, name = self.new_key("--tenant", "acme", "--name", "ci")

        def ask(secret):
            return gateway.get("/v1/models", headers={"authorization": f"Bearer {secret}"}).status
        self.assertEqual(gateway.get("/v1/models", headers={}).status, 401)
        self.assertEqual(ask(key), 200)
        self.assertEqual(ask(key[:-1] + ("0" if key[-1] != "0" else "1")), 401)
        code, output = self.keys("rotate", name, "--grace", "1h")
        self.assertEqual(code, 0, output)
        fresh = re.search(r"^pk_\w+$", output, re.M).group()
        self.assertEqual((ask(key), ask(fresh)), (200, 200))
        code, output = self.keys("revoke", name)
        self.assertEqual((code, "revoked" in output), (0, True), output)
        wait_until(lambda: ask(key) == 401, "the revoked key is refused", limit=1.5)
        self.assertEqual(ask(fresh), 200)
        self.assertNotIn(key, gateway.output)

    def test_the_commands_say_what_is_wrong(self):
        store = f"sqlite:{self.folder}/other.db"
        for args, code, said in (
                (("keys", "create", "--tenant", "t", "--name", "n"), 1, "`penstock tenants create t` makes one"),
                (("keys", "show", "key_nothing"), 1, "there is no key key_nothing"),
                (("keys", "creat"), 2, "it can be create, list"),
                (("keys", "create", "--name", "n"), 2, "--tenant is missing"),
                (("keys", "create", "--tenant", "t", "--name", "n", "--requests", "100"), 2,
                 "--requests takes a rate such as 600/m"),
                (("keys", "create", "--tenant", "t", "--name", "n", "--expires", "soon"), 2, "--expires takes"),
                (("keys", "show"), 2, "ID is missing"),
                (("keys", "list", "key_x"), 2, "takes no ID"),
                (("keys", "update", "key_x"), 2, "there is nothing to change"),
                (("keys", "list", "--requests", "1/s"), 2, "changes no fields"),
                (("keys", "rotate", "key_x", "--grace", "x"), 2, "--grace takes a time"),
                (("tenants", "create", "a b"), 2, "a tenant's name has 1 to 64"),
                (("tenants", "show", "t"), 1, "there is no tenant t"),
                (("tenants", "list", "--format", "xml"), 2, "--format takes table or json")):
            result, output = run(*args, "--store", store)
            self.assertEqual(result, code, (args, output))
            self.assertIn(said, output)
        code, output = run("migrate", "--store", "nonsense://x")
        self.assertEqual(code, 2, output)
        code, output = run("migrate", "--store", store)
        self.assertEqual((code, "up to date" in output), (0, True), output)

    def test_the_commands_list_and_show(self):
        self.database = f"sqlite:{self.folder}/listed.db"
        run("tenants", "create", "acme", "--requests", "600/m", "--models", "a,b", "--store", self.database)
        _, name = self.new_key("--tenant", "acme", "--name", "ci", "--requests", "100/m",
                               "--spend-day", "1", "--expires", "2099-01-31")
        code, output = self.keys("list", "--format", "json")
        self.assertEqual(code, 0, output)
        [key] = json.loads(output)
        self.assertEqual((key["id"], key["limits"], key["expires"]),
                         (name, {"requests": "100/m", "spend": {"day": 1}}, "2099-01-31T00:00:00Z"))
        self.assertRegex(key["created_by"], r"^user \w+$")
        code, output = self.keys("list")
        self.assertRegex(output, rf"(?m)^{name}  acme    ci    good   2099-01-31T00:00:00Z  "
                                 r"requests=100/m spend_day=1$")
        code, output = self.keys("update", name, "--spend-day", "default", "--name", "nightly")
        self.assertEqual(code, 0, output)
        self.assertIn("limits       requests=100/m\n", output)
        code, output = run("tenants", "list", "--store", self.database)
        self.assertRegex(output, r"(?m)^acme +a,b +as configured +requests=600/m$")

    def test_usage_is_summed_by_what_is_asked_for(self):
        gateway = self.guarded()
        for question in ("one", "two", "one"):
            self.assertEqual(gateway.ask(question).status, 200)

        def sums(query):
            return self.call(gateway, "GET", f"/admin/v1/usage?{query}")["groups"]
        wait_until(lambda: sum(one["requests"] for one in sums("by=model")) == 3, "three are counted")
        self.assertEqual({one["model"] for one in sums("by=model")}, {"m"})
        by_cache = {one["cache"]: one["requests"] for one in sums("by=day,cache")}
        self.assertEqual(by_cache, {"miss": 2, "memory": 1})
        self.assertEqual(sums("by=model&tenant=nobody"), [])
        page = self.call(gateway, "GET", "/admin/v1/usage?by=cache&limit=1&percentiles=true")
        self.assertEqual(len(page["groups"]), 1)
        rest = self.call(gateway, "GET", f"/admin/v1/usage?by=cache&after={page['more']}")
        self.assertEqual((len(rest["groups"]), rest["more"]), (1, None))
        for path, headers in (("?by=cache&format=csv", {}), ("?by=cache", {"accept": "text/csv"})):
            table = gateway.admin("/admin/v1/usage" + path, headers={**ADMIN, **headers})
            self.assertEqual(table.headers["content-type"], "text/csv")
            lines = table.body.decode().split("\r\n")
            self.assertTrue(lines[0].startswith("cache,requests,errors,input_tokens,"))
            self.assertEqual({line.split(",")[0] for line in lines[1:-1]}, {"miss", "memory"})
        for query in ("by=user", "since=x", "since=1h&until=2h", "status=x", "format=xml", "after=zz",
                      "limit=0", "percentiles=2", "by=day,hour"):
            self.call(gateway, "GET", f"/admin/v1/usage?{query}", status=400)
        whole = self.call(gateway, "GET", "/admin/v1/usage/engagement")["sums"][0]
        self.assertIsNone(whole["day"])
        self.assertEqual(whole["questions"], 3)
