// What a person does in a browser, by fetch: from the client's URL through the sign-in form to the redirect.
const field = (html, name) => html.match(new RegExp(`name="${name}" value="([^"]*)"`))?.[1];

export async function signIn(url) {
  const { EMAIL, PASSWORD } = process.env;
  const otp = process.env.OTP.split(',');
  const asked = await fetch(url, { redirect: 'manual' });
  const form = new URL(asked.headers.get('location'), url);
  const html = await (await fetch(form)).text();
  const body = new URLSearchParams({
    email: EMAIL,
    password: PASSWORD,
    // Each code counts once: one for each sign-in of this script.
    otp: otp[signIn.times++],
    authorization: field(html, 'authorization'),
  });
  const sent = await fetch(new URL('/platform/login', url), { method: 'POST', body, redirect: 'manual' });
  if (sent.status !== 303) throw new Error(`signing in: ${sent.status} ${await sent.text()}`);
  const back = await fetch(new URL(sent.headers.get('location'), url), { redirect: 'manual' });
  return new URL(back.headers.get('location'));
}
signIn.times = 0;

export const issuer = new URL(process.env.ISSUER);
export const clientId = 'drawbridge-cli';
export const redirectUri = 'http://127.0.0.1:49152/callback';

export function equal(what, got, wanted) {
  if (got !== wanted) throw new Error(`${what}: ${got}, not ${wanted}`);
}
