"""A small OpenID Connect issuer with true signatures: discovery, code flow with PKCE, keys that change."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import secrets
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

CLIENT_ID = "polyfn-tests"
CLIENT_SECRET = "a-secret-of-the-client"
AUDIENCE = "https://functions.example.org/"


class Certificate:
    """A certificate for this machine, in `file` with its key; `authority` names whom to believe it."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.file = folder / "authority.pem", folder / "server.pem"
        mine, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of the tests")])
        begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)

        def made(subject: x509.Name, key, *extensions) -> bytes:
            builder = x509.CertificateBuilder(name, subject, key.public_key(), x509.random_serial_number())
            builder = builder.not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=1))
            for extension in extensions:
                builder = builder.add_extension(extension, critical=False)
            return builder.sign(mine, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

        self.authority.write_bytes(made(name, mine, x509.BasicConstraints(ca=True, path_length=None)))
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        key = own.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.file.write_bytes(made(x509.Name([]), own, names) + key)


class Issuer:
    """Listens on a free port. Whoever asks is logged in as `claims` says; `lies` changes what it signs."""

    def __init__(self, certificate: Certificate | None = None) -> None:
        self.claims = {"sub": "ada-1", "email": "ada@example.org", "email_verified": True, "name": "Ada"}
        self.lies: dict = {}
        self.codes: dict[str, dict] = {}
        self.keys_fetched = 0
        self.new_key()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def answer(self, body: dict, status: int = 200) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                if url.path == "/.well-known/openid-configuration":
                    self.answer(issuer.discovery())
                elif url.path == "/keys":
                    issuer.keys_fetched += 1
                    self.answer(issuer.jwks())
                elif url.path == "/authorize":
                    target = issuer.authorize(dict(urllib.parse.parse_qsl(url.query)))
                    self.send_response(302)
                    self.send_header("location", target)
                    self.send_header("content-length", "0")
                    self.end_headers()
                else:
                    self.answer({"error": "not found"}, 404)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                status, told = issuer.token(dict(urllib.parse.parse_qsl(body)), self.headers)
                self.answer(told, status)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        port = self.server.server_address[1]
        self.url = self.name = f"http://127.0.0.1:{port}"
        if certificate:
            # as Auth0: its name ends with a slash
            self.url, self.name = f"https://localhost:{port}", f"https://localhost:{port}/"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.file)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def new_key(self) -> None:
        """Signs with another key from now on, and no longer publishes the one before."""
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = secrets.token_hex(4)

    def discovery(self) -> dict:
        return {
            "issuer": self.name,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def jwks(self) -> dict:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**key, "kid": self.kid, "use": "sig", "alg": "RS256"}]}

    def authorize(self, query: dict) -> str:
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        assert query["nonce"]
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        back = urllib.parse.urlencode({"code": code, "state": query["state"]})
        return f"{query['redirect_uri']}?{back}"

    def token(self, form: dict, headers) -> tuple[int, dict]:
        asked = self.codes.pop(form.get("code", ""), None)
        known = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        # a public client, as that of Auth0 is, has no secret: PKCE stands for it
        is_public = self.name.endswith("/") and form.get("client_id") == CLIENT_ID
        if not is_public and headers.get("authorization") != f"Basic {known}":
            return 401, {"error": "invalid_client"}
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if asked is None or challenge != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        claims = {"aud": CLIENT_ID, "nonce": asked["nonce"], **self.claims, **self.lies}
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": self.sign(claims)}

    def sign(self, claims: dict, lifetime: float = 600, **more) -> str:
        now = int(time.time())
        payload = {"iss": self.name, "iat": now, "exp": int(now + lifetime), **claims}
        return jwt.encode(payload, self.key, "RS256", headers={"kid": self.kid, **more})

    def access_token(self, **claims) -> str:
        return self.sign({"aud": AUDIENCE, **self.claims, **claims})
