"""Keys and tokens of clients, made as an operator and an identity provider make them."""

import base64
import json
import pathlib
import re
import subprocess
import time

from harness.penstock import run


def make_key(store, tenant, *args):
    """`penstock keys create` on this store: (key, its id)."""
    code, output = run("keys", "create", "--store", store, "--tenant", tenant, *args)
    assert code == 0, output
    return (re.search(r"^pk_[0-9A-Za-z]{49}$", output, re.M).group(),
            re.search(r"key_\w{16}", output).group())


def bearer(key):
    return {"authorization": f"Bearer {key}"}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """An identity provider with one RSA key: signs tokens with openssl, as the RFCs say."""

    def __init__(self, folder, name="provider"):
        self.file = pathlib.Path(folder) / f"{name}.pem"
        self._openssl("genrsa", "-out", str(self.file), "2048")
        modulus = self._openssl("rsa", "-in", str(self.file), "-noout", "-modulus").decode()
        number = bytes.fromhex(modulus.strip().removeprefix("Modulus="))
        self.jwks = json.dumps({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": name,
                                          "n": base64url(number), "e": "AQAB"}]}).encode()
        self.kid = name

    @staticmethod
    def _openssl(*args, data=None):
        return subprocess.run(["openssl", *args], input=data, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout

    def token(self, header=None, **claims):
        now = int(time.time())
        head = {"alg": "RS256", "typ": "JWT", "kid": self.kid, **(header or {})}
        body = {"iss": "https://id.example", "aud": "penstock", "sub": "alice", "tenant": "acme",
                "iat": now, "exp": now + 600, **claims}
        signed = f"{base64url(json.dumps(head).encode())}.{base64url(json.dumps(body).encode())}"
        signature = self._openssl("dgst", "-sha256", "-sign", str(self.file), data=signed.encode())
        return f"{signed}.{base64url(signature)}"
