"""Python's own clients: http.client and urllib."""

import http.client
import json
import urllib.error
import urllib.request

from harness.penstock import LIMIT, Scenario, question

JSON = {"content-type": "application/json"}


class Python(Scenario):
    def test_http_client_keeps_its_connection(self):
        gateway = self.gateway(self.to(self.engine()))
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=LIMIT)
        self.addCleanup(connection.close)
        connection.connect()
        socket = connection.sock
        for stream in (False, True, False):
            connection.request("POST", "/v1/chat/completions", json.dumps(question(stream=stream)), JSON)
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            body = answer.read()
            self.assertEqual(body.endswith(b"data: [DONE]\n\n"), stream)
            self.assertIs(connection.sock, socket, "another connection was made")

    def test_http_client_sends_a_body_in_chunks_and_reads_line_by_line(self):
        gateway = self.gateway(self.to(self.engine()))
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=LIMIT)
        self.addCleanup(connection.close)
        text = json.dumps(question("é" * 5000, stream=True)).encode()
        pieces = (text[i:i + 1000] for i in range(0, len(text), 1000))
        connection.request("POST", "/v1/chat/completions", pieces, JSON, encode_chunked=True)
        lines = list(connection.getresponse())
        self.assertEqual(lines[-2:], [b"data: [DONE]\n", b"\n"])

    def opener(self):
        return urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def test_urllib(self):
        gateway = self.gateway(self.to(self.engine()))
        asked = urllib.request.Request(f"http://127.0.0.1:{gateway.port}/v1/chat/completions",
                                       json.dumps(question()).encode(), JSON)
        with self.opener().open(asked, timeout=LIMIT) as answer:
            self.assertEqual(json.load(answer)["choices"][0]["message"]["content"], "Hello.")

    def test_urllib_without_a_content_type_is_told_what_is_missing(self):
        # What it sends for data by itself is a form.
        gateway = self.gateway(self.to(self.engine()))
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.opener().open(f"http://127.0.0.1:{gateway.port}/v1/chat/completions",
                               json.dumps(question()).encode(), timeout=LIMIT)
        with caught.exception as answer:
            self.assertEqual(answer.code, 415)
            self.assertIn("application/json", json.load(answer)["error"]["message"])
