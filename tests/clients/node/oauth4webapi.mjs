// npm oauth4webapi v3: the same with the bare building blocks, and RFC 9068 validation of the access token as a
// resource server does it. jose verifies the tokens once more, and makes forgeries.
import * as oauth from 'oauth4webapi';
import * as jose from 'jose';
import { clientId, equal, issuer, redirectUri, signIn } from './browser.mjs';

const http = { [oauth.allowInsecureRequests]: true };
const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...http });
const as = await oauth.processDiscoveryResponse(issuer, found);
const client = { client_id: clientId };
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const url = new URL(as.authorization_endpoint);
for (const [name, value] of Object.entries({
  response_type: 'code',
  client_id: clientId,
  redirect_uri: redirectUri,
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
})) url.searchParams.set(name, value);

const parameters = oauth.validateAuthResponse(as, client, await signIn(url), state);
const redeemed = await oauth.authorizationCodeGrantRequest(
  as, client, oauth.None(), parameters, redirectUri, verifier, http,
);
const { access_token: token, scope } = await oauth.processAuthorizationCodeResponse(as, client, redeemed);
equal('scope', scope, 'platform');

const call = (bearer) => new Request(new URL('/api/v1/platform/me', issuer), {
  headers: { authorization: `Bearer ${bearer}` },
});
// RFC 9068 §4, as a resource server.
const claims = await oauth.validateJwtAccessToken(as, call(token), as.issuer, http);
equal('tenant', claims.tenant_id, 'platform');
equal('role', claims.roles.includes('platform-admin'), true);

const keys = jose.createRemoteJWKSet(new URL(as.jwks_uri));
const expected = { issuer: as.issuer, audience: as.issuer, typ: 'at+jwt' };
await jose.jwtVerify(token, keys, { ...expected, algorithms: ['RS256'] });
const minted = await fetch(new URL(`/api/v1/platform/orgs/${process.env.ORG}/impersonate`, issuer), {
  method: 'POST',
  headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  body: JSON.stringify({ reason: 'cameras offline since 03:00' }),
});
equal('mint', minted.status, 201);
const grant = (await minted.json()).token;
const delegation = await jose.jwtVerify(grant, keys, { ...expected, algorithms: ['EdDSA'] });
equal('act', delegation.payload.act.sub, claims.sub);

// What jose makes with every known trick doesn't count here.
const { keys: published } = await (await fetch(as.jwks_uri)).json();
const rsa = published.find((key) => key.alg === 'RS256');
const ed = published.find((key) => key.alg === 'EdDSA');
const spki = await jose.exportSPKI(await jose.importJWK(rsa, 'RS256'));
const own = await jose.generateKeyPair('RS256', { extractable: true });
const ownEd = await jose.generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
const ownJwk = await jose.exportJWK(own.publicKey);
const bytes = (text) => new TextEncoder().encode(text);
const sign = (header, key) => new jose.SignJWT(claims).setProtectedHeader(header).sign(key);
const header = { alg: 'RS256', typ: 'at+jwt', kid: rsa.kid };
const [head, body, signature] = token.split('.');
const b64 = (value) => jose.base64url.encode(JSON.stringify(value));
const forgeries = {
  'another key of the same id': await sign(header, own.privateKey),
  'another Ed25519 key': await sign({ alg: 'EdDSA', typ: 'at+jwt', kid: ed.kid }, ownEd.privateKey),
  'the public key as secret': await sign({ alg: 'HS256', typ: 'at+jwt', kid: rsa.kid }, bytes(spki)),
  'the modulus as secret': await sign({ alg: 'HS256', typ: 'at+jwt', kid: rsa.kid }, bytes(rsa.n)),
  'the Ed25519 key as secret': await sign({ alg: 'HS256', typ: 'at+jwt', kid: ed.kid }, jose.base64url.decode(ed.x)),
  'an embedded key': await sign({ ...header, jwk: ownJwk }, own.privateKey),
  'an embedded key without kid': await sign({ alg: 'RS256', typ: 'at+jwt', jwk: ownJwk }, own.privateKey),
  'a key from elsewhere': await sign({ ...header, jku: 'http://127.0.0.1:1/jwks' }, own.privateKey),
  'PS256 by an RS256 key id': await sign(
    { ...header, alg: 'PS256' },
    (await jose.generateKeyPair('PS256')).privateKey,
  ),
  'crit': `${b64({ ...header, crit: ['exp'] })}.${body}.${signature}`,
  'none': `${b64({ alg: 'none', typ: 'at+jwt' })}.${body}.`,
  'None with kid': `${b64({ ...header, alg: 'None' })}.${body}.${signature}`,
  'no signature': `${head}.${body}.`,
  'another payload': `${head}.${b64({ ...claims, roles: ['platform-admin', 'x'] })}.${signature}`,
  'the payload of the grant': `${head}.${grant.split('.')[1]}.${signature}`,
  'an unsecured JWT': new jose.UnsecuredJWT(claims).encode(),
  'an encrypted JWT': await new jose.EncryptJWT(claims)
    .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM', typ: 'at+jwt', kid: rsa.kid })
    .encrypt(await jose.importJWK({ ...rsa, alg: 'RSA-OAEP-256', use: 'enc' }, 'RSA-OAEP-256')),
};
for (const [what, forged] of Object.entries(forgeries)) {
  equal(what, (await fetch(call(forged))).status, 401);
}
equal('the real one', (await fetch(call(token))).status, 200);

const revoked = await oauth.revocationRequest(as, client, oauth.None(), token, http);
await oauth.processRevocationResponse(revoked);
equal('after revocation', (await fetch(call(token))).status, 401);
console.log('ok');
