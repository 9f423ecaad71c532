"""Python Authlib: code with PKCE, RFC 8414 metadata, RFC 9068 validation as a resource server; joserfc verifies too.

Nothing is told to it but that http on this machine is fine (AUTHLIB_INSECURE_TRANSPORT).
"""

import os
import re
import secrets
import sys
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc import jwt
from joserfc.jwk import KeySet

ISSUER = os.environ["ISSUER"]
REDIRECT = "http://127.0.0.1:49152/callback"


def sign_in(url):
    """What a person does in a browser."""
    asked = requests.get(url, allow_redirects=False)
    page = requests.get(urljoin(ISSUER, asked.headers["location"])).text
    authorization = re.search(r'name="authorization" value="([^"]*)"', page).group(1)
    form = {
        "email": os.environ["EMAIL"],
        "password": os.environ["PASSWORD"],
        "otp": os.environ["OTP"].split(",")[0],
        "authorization": authorization,
    }
    sent = requests.post(urljoin(ISSUER, "/platform/login"), data=form, allow_redirects=False)
    assert sent.status_code == 303, (sent.status_code, sent.text)
    back = requests.get(urljoin(ISSUER, sent.headers["location"]), allow_redirects=False)
    return back.headers["location"]


class Validator(JWTBearerTokenValidator):
    def get_jwks(self):
        return requests.get(metadata["jwks_uri"]).json()


metadata = AuthorizationServerMetadata(requests.get(ISSUER + "/.well-known/oauth-authorization-server").json())
metadata.validate()
assert metadata["issuer"] == ISSUER

client = OAuth2Session(
    "drawbridge-cli",
    redirect_uri=REDIRECT,
    scope="platform",
    code_challenge_method="S256",
    token_endpoint_auth_method="none",
)
verifier = secrets.token_urlsafe(48)
url, state = client.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
answer = sign_in(url)
told = parse_qs(urlsplit(answer).query)
assert told["iss"] == [ISSUER] and told["state"] == [state], told
token = client.fetch_token(
    metadata["token_endpoint"], authorization_response=answer, state=state, code_verifier=verifier
)
assert token["token_type"] == "Bearer" and token["expires_in"] == 3600, token
assert client.get(ISSUER + "/api/v1/platform/me").status_code == 200

# RFC 9068, with the algorithms that the library takes by itself.
validator = Validator(issuer=ISSUER, resource_server=ISSUER)
claims = validator.authenticate_token(token["access_token"])
validator.validate_token(claims, ["platform"], None)
assert claims["tenant_id"] == "platform" and "platform-admin" in claims["roles"], claims
elsewhere = Validator(issuer=ISSUER, resource_server="https://other.example")
try:
    elsewhere.validate_token(elsewhere.authenticate_token(token["access_token"]), ["platform"], None)
except Exception:
    pass
else:
    sys.exit("a token for somebody else was taken")

# An impersonation token, with the algorithm named.
minted = client.post(
    f"{ISSUER}/api/v1/platform/orgs/{os.environ['ORG']}/impersonate", json={"reason": "cameras offline since 03:00"}
)
assert minted.status_code == 201, minted.text
keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"]).json())
grant = jwt.decode(minted.json()["token"], keys, algorithms=["EdDSA"])
assert grant.header["typ"] == "at+jwt" and grant.claims["act"]["sub"] == claims["sub"], grant.claims

revoked = client.revoke_token(metadata["revocation_endpoint"], token["access_token"])
assert revoked.status_code == 200, revoked.text
assert client.get(ISSUER + "/api/v1/platform/me").status_code == 401
print("ok")
