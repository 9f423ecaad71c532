// npm openid-client v6: discovery (RFC 8414), code with PKCE, RFC 9207. Nothing is told to it but that http on this
// machine is fine, and that this is OAuth 2.0 without OpenID Connect.
import * as client from 'openid-client';
import { clientId, equal, issuer, redirectUri, signIn } from './browser.mjs';

const config = await client.discovery(issuer, clientId, undefined, client.None(), {
  algorithm: 'oauth2',
  execute: [client.allowInsecureRequests],
});
equal('PKCE', config.serverMetadata().supportsPKCE(), true);
const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedState = client.randomState();
const url = client.buildAuthorizationUrl(config, {
  redirect_uri: redirectUri,
  scope: 'platform',
  state: expectedState,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
});
const answer = await signIn(url);

// It checks the issuer of the answer: somebody else's is refused before anything is redeemed.
const mixedUp = new URL(answer);
mixedUp.searchParams.set('iss', 'https://evil.example');
const refused = await client
  .authorizationCodeGrant(config, mixedUp, { pkceCodeVerifier, expectedState })
  .then(() => false, () => true);
equal('a wrong issuer is refused', refused, true);

const tokens = await client.authorizationCodeGrant(config, answer, { pkceCodeVerifier, expectedState });
equal('token type', tokens.token_type, 'bearer');
equal('lifetime', tokens.expires_in, 3600);
const me = await client.fetchProtectedResource(
  config,
  tokens.access_token,
  new URL('/api/v1/platform/me', issuer),
  'GET',
);
equal('the platform API', me.status, 200);
await client.tokenRevocation(config, tokens.access_token);
const after = await fetch(new URL('/api/v1/platform/me', issuer), {
  headers: { authorization: `Bearer ${tokens.access_token}` },
});
equal('after revocation', after.status, 401);
console.log('ok');
