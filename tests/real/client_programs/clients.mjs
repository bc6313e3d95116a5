// One message by each of the named clients: node clients.mjs NAME... ; a JSON line each. Without names: all of them.
// The API is at MISTRAL_BASE_URL, as in many a service. A streamed answer ends only for a client that says, while it
// still streams, that it saw the beginning: GET /seen/NAME.
import http from 'node:http'
import https from 'node:https'
import { HTTPClient, Mistral } from '@mistralai/mistralai'
import axios from 'axios'
import got from 'got'
import nodeFetch from 'node-fetch'
import * as undici from 'undici'
import * as undici5 from 'undici-5'

const base = (process.env.MISTRAL_BASE_URL ?? 'https://api.mistral.invalid').replace(/\/$/, '')
const origin = new URL(base).origin
const prefix = new URL(base).pathname.replace(/\/$/, '')
const path = `${prefix}/v1/chat/completions?first=1&second=%C3%BC`
const url = origin + path
const native = origin.startsWith('https:') ? https : http
const method = 'POST'

const sent = (name, stream = false) => ({
  headers: { authorization: 'Bearer a-key', 'content-type': 'application/json', 'x-mark': name },
  body: JSON.stringify({ model: 'mistral-small-2603', messages: [{ role: 'user', content: name }], stream }),
})

async function fetched(answer) {
  return { status: answer.status, text: await answer.text(), url: answer.url }
}

async function undicis(answer) {
  return { status: answer.statusCode, text: await answer.body.text() }
}

function requested(name, ...args) {
  const { headers, body } = sent(name)
  return new Promise((resolve, reject) => {
    const options = args.find((item) => item && typeof item === 'object' && !(item instanceof URL))
    Object.assign(options, { method, headers })
    native
      .request(...args, async (answer) => resolve({ status: answer.statusCode, text: await all(answer) }))
      .on('error', reject)
      .end(body)
  })
}

async function all(readable) {
  let text = ''
  for await (const piece of readable) text += Buffer.from(piece).toString()
  return text
}

// Reads on only once the other side knows that the beginning is here.
async function streamed(name, readable) {
  let text = ''
  for await (const piece of readable) {
    if (!text) await fetch(`${base}/seen/${name}`).catch(() => {}) // may itself not be led away
    text += Buffer.from(piece).toString()
  }
  return text
}

async function mistral(name, options = {}) {
  const client = new Mistral({ apiKey: 'a-key', serverURL: base, ...options })
  const answer = await client.chat.complete({ model: 'mistral-small-2603', messages: [{ role: 'user', content: name }] })
  return { status: 200, text: answer.choices[0].message.content }
}

const clients = {
  'fetch string': async (name) => fetched(await fetch(url, { method, ...sent(name) })),
  'fetch URL': async (name) => fetched(await fetch(new URL(url), { method, ...sent(name) })),
  'fetch Request': async (name) => fetched(await fetch(new Request(url, { method, ...sent(name) }))),
  'fetch stream': async (name) => {
    const answer = await fetch(url, { method, ...sent(name, true) })
    return { status: answer.status, text: await streamed(name, answer.body) }
  },
  'undici fetch': async (name) => fetched(await undici.fetch(url, { method, ...sent(name) })),
  'undici request': async (name) => undicis(await undici.request(url, { method, ...sent(name) })),
  'undici stream': async (name) => {
    const pieces = []
    const opaque = { pieces }
    const { PassThrough } = await import('node:stream')
    const through = new PassThrough()
    const text = streamed(name, through)
    let status
    await undici.stream(url, { method, ...sent(name, true), opaque }, ({ statusCode }) => {
      status = statusCode
      return through
    })
    return { status, text: await text }
  },
  'undici Agent': async (name) => {
    const dispatcher = new undici.Agent({ connections: 2, pipelining: 0 })
    return fetched(await undici.fetch(url, { method, ...sent(name), dispatcher }))
  },
  'undici Agent h2': async (name) => {
    const dispatcher = new undici.Agent({ allowH2: true })
    return undicis(await undici.request(url, { method, ...sent(name), dispatcher }))
  },
  'undici Pool': async (name) => undicis(await new undici.Pool(origin).request({ path, method, ...sent(name) })),
  'undici Client': async (name) => undicis(await new undici.Client(origin).request({ path, method, ...sent(name) })),
  'undici RetryAgent': async (name) => {
    const dispatcher = new undici.RetryAgent(new undici.Agent())
    return undicis(await undici.request(url, { method, ...sent(name), dispatcher }))
  },
  'undici EnvHttpProxyAgent': async (name) => {
    const dispatcher = new undici.EnvHttpProxyAgent()
    return undicis(await undici.request(url, { method, ...sent(name), dispatcher }))
  },
  'undici 5': async (name) => undicis(await undici5.request(url, { method, ...sent(name) })),
  'undici 5 Pool': async (name) => undicis(await new undici5.Pool(origin).request({ path, method, ...sent(name) })),
  'undici global dispatcher': async (name) => {
    const before = undici.getGlobalDispatcher()
    undici.setGlobalDispatcher(new undici.Agent({ keepAliveTimeout: 1000 }))
    try {
      return await fetched(await fetch(url, { method, ...sent(name) }))
    } finally {
      undici.setGlobalDispatcher(before)
    }
  },
  'request string': async (name) => requested(name, url, {}),
  'request URL': async (name) => requested(name, new URL(url), {}),
  'request options': async (name) => {
    const { hostname, port, protocol } = new URL(origin)
    return requested(name, { hostname, port, protocol, path })
  },
  'request host': async (name) => {
    const { hostname, port } = new URL(origin)
    return requested(name, { host: hostname, port: port || undefined, path })
  },
  'request own Agent': async (name) => requested(name, url, { agent: new native.Agent({ keepAlive: true }) }),
  'request no Agent': async (name) => requested(name, url, { agent: false }),
  'request stream': async (name) => {
    const { headers, body } = sent(name, true)
    const answer = await new Promise((resolve, reject) => {
      native.request(url, { method, headers }, resolve).on('error', reject).end(body)
    })
    return { status: answer.statusCode, text: await streamed(name, answer) }
  },
  get: async (name) =>
    new Promise((resolve, reject) => {
      const { headers } = sent(name)
      native
        .get(url, { headers }, async (answer) => resolve({ status: answer.statusCode, text: await all(answer) }))
        .on('error', reject)
    }),
  axios: async (name) => {
    const { headers, body } = sent(name)
    const answer = await axios.post(url, body, { headers, responseType: 'text' })
    return { status: answer.status, text: answer.data }
  },
  'axios stream': async (name) => {
    const { headers, body } = sent(name, true)
    const answer = await axios.post(url, body, { headers, responseType: 'stream' })
    return { status: answer.status, text: await streamed(name, answer.data) }
  },
  got: async (name) => {
    const answer = await got.post(url, { ...sent(name), retry: { limit: 0 } })
    return { status: answer.statusCode, text: answer.body, url: answer.url }
  },
  'got h2': async (name) => {
    const answer = await got.post(url, { ...sent(name), retry: { limit: 0 }, http2: true })
    return { status: answer.statusCode, text: answer.body, url: answer.url }
  },
  'node-fetch': async (name) => fetched(await nodeFetch(url, { method, ...sent(name) })),
  mistral: async (name) => mistral(name),
  'mistral own fetcher': async (name) => {
    const dispatcher = new undici.Agent()
    const fetcher = (input, init) => undici.fetch(input.url, {
      method: input.method, headers: Object.fromEntries(input.headers), body: input.body, duplex: 'half', dispatcher, ...init,
    })
    return mistral(name, { httpClient: new HTTPClient({ fetcher }) })
  },
}

const asked = process.argv.slice(2)
for (const name of asked.length ? asked : Object.keys(clients)) {
  let result
  try {
    result = await Promise.race([
      clients[name](name.replaceAll(' ', '-')),
      new Promise((_, reject) => setTimeout(() => reject(new Error('no answer within 20 s')), 20_000).unref()),
    ])
  } catch (error) {
    result = { error: String(error.cause ?? error).slice(0, 200) }
  }
  process.stdout.write(`${JSON.stringify({ client: name, ...result })}\n`)
}
process.exit(0)
