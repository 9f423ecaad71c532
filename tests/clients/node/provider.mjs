// npm oidc-provider, the certified one, as a process: says its issuer once it listens, reads where answers are to go and
// who there is ({"redirect_uri": …, "accounts": {login: claims}}), and ends with its standard input.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

// Its notices go elsewhere: standard output is for whoever started this.
console.info = console.error;
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

function provider(issuer, { redirect_uri: redirectUri, accounts }) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const made = new Provider(issuer, {
    clients: [{
      client_id: 'drawbridge',
      client_secret: process.env.CLIENT_SECRET,
      token_endpoint_auth_method: 'client_secret_basic',
      redirect_uris: [redirectUri],
    }],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: randomUUID() }] },
    cookies: { keys: [randomUUID()] },
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true, methods: ['S256'] },
    features: { devInteractions: { enabled: true } },
    findAccount: (_, login) => accounts[login] && {
      accountId: login,
      claims: () => ({ sub: login, ...accounts[login] }),
    },
  });
  // Its pages would fetch a font from elsewhere.
  made.use(async (ctx, next) => {
    await next();
    if (typeof ctx.body === 'string') ctx.body = ctx.body.replace(/@import [^;]*;/g, '');
  });
  return made.callback();
}

let answer = (_, response) => response.writeHead(503).end();
const server = createServer((request, response) => answer(request, response));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  say({ issuer });
  createInterface({ input: process.stdin })
    .once('line', (line) => {
      answer = provider(issuer, JSON.parse(line));
      say({ ready: true });
    })
    .once('close', () => process.exit());
});
