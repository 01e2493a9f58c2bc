/**
 * What the adapter rests on, said of an API server by itself: the stand-in of the suite and a real server are asked the
 * same, so that the one does not know better than the other. Sources: Kubernetes API concepts ("Resource versions",
 * "Efficient detection of changes", "Retrieving large results sets in chunks"), Server-side apply, and validation of
 * patch options in k8s.io/apimachinery v0.35.
 */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import { expect } from 'chai'

export interface AskedServer {
  /** As an administrator; answers once the head of the answer is there. */
  open(method: string, path: string, body?: object, contentType?: string, token?: string): Promise<IncomingMessage>
  /** Empty of slices. */
  readonly namespace: string
  /** Events from before now are forgotten. */
  forget(): Promise<void>
  close(): Promise<void>
}

interface Said {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string; readonly name?: string }
  readonly items?: readonly Said[]
  readonly reason?: string
}

const applied = 'application/apply-patch+yaml'

export function describeKubernetesFacts(title: string, setUp: (context: Mocha.Context) => Promise<AskedServer>): void {
  describe(`facts of an API server: ${title}`, function () {
    this.timeout(240_000)
    let server: AskedServer
    let slices = ''
    before(async function () {
      server = await setUp(this)
      slices = `/apis/discovery.k8s.io/v1/namespaces/${server.namespace}/endpointslices`
    })
    after(async () => {
      await (server as AskedServer | undefined)?.close()
    })

    const slice = (name: string, extra: object = {}): object => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, labels: { 'kubernetes.io/service-name': name }, ...extra },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
      endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready: true } }],
    })
    const ask = async (
      method: string,
      path: string,
      body?: object,
      contentType?: string,
      token?: string,
    ): Promise<{ status: number; said: Said }> => {
      const response = await server.open(method, path, body, contentType, token)
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      await once(response, 'end')
      return { status: response.statusCode ?? 0, said: JSON.parse(text) as Said }
    }
    const apply = (name: string, extra?: object): ReturnType<typeof ask> =>
      ask('PATCH', `${slices}/${name}?fieldManager=facts&force=true`, slice(name, extra), applied)
    const versionOf = async (name: string): Promise<string> =>
      (await ask('GET', `${slices}/${name}`)).said.metadata.resourceVersion

    it('a list comes in pages that lead to each other, with a resource version, and only of the label asked for', async () => {
      await apply('page-1')
      await apply('page-2')
      const first = await ask('GET', `${slices}?limit=1`)
      expect(first.said.items).to.have.length(1)
      const { continue: more = '', resourceVersion } = first.said.metadata
      expect(resourceVersion).to.match(/^\d+$/)
      expect(more).not.to.equal('')
      const second = await ask('GET', `${slices}?limit=1&continue=${encodeURIComponent(more)}`)
      expect(second.said.items).to.have.length(1)
      expect(second.said.metadata.continue ?? '').to.equal('')
      const labelled = await ask(
        'GET',
        `${slices}?labelSelector=${encodeURIComponent('kubernetes.io/service-name=page-2')}`,
      )
      expect(labelled.said.items!.map(({ metadata }) => metadata.name)).to.deep.equal(['page-2'])
    })

    it('a watch tells what changed since its resource version, one JSON text in a line, and ends at its time', async () => {
      const { resourceVersion } = (await ask('GET', slices)).said.metadata
      await apply('watched')
      await apply('watched', { annotations: { changed: 'yes' } })
      await ask('DELETE', `${slices}/watched`)
      const response = await server.open(
        'GET',
        `${slices}?watch=1&allowWatchBookmarks=true&timeoutSeconds=2&resourceVersion=${resourceVersion}`,
      )
      expect(response.statusCode).to.equal(200)
      const words: { type: string; object: Said }[] = []
      for await (const line of createInterface({ input: response }))
        words.push(JSON.parse(line) as (typeof words)[number])
      const told = words.filter(({ type }) => type !== 'BOOKMARK')
      expect(told.map(({ type }) => type)).to.deep.equal(['ADDED', 'MODIFIED', 'DELETED'])
      const versions = told.map(({ object }) => Number(object.metadata.resourceVersion))
      expect(versions).to.deep.equal(versions.toSorted((one, other) => one - other))
      expect(new Set(versions).size).to.equal(3)
    })

    it('a watch from a forgotten resource version is told 410, as status or as a word of type ERROR', async () => {
      const { resourceVersion } = (await ask('GET', slices)).said.metadata
      await apply('later')
      await server.forget()
      const from = `resourceVersion=${resourceVersion}`
      const response = await server.open('GET', `${slices}?watch=1&timeoutSeconds=5&${from}`)
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      await once(response, 'end')
      const word = JSON.parse(text.split('\n')[0]!) as { type?: string; object?: { code: number }; code?: number }
      expect(word.type === 'ERROR' ? word.object?.code : word.code).to.equal(410)
    })

    it('server-side apply makes and changes, wants the name of who does it, and refuses a state that is not there', async () => {
      expect((await apply('own')).status).to.equal(201)
      const old = await versionOf('own')
      expect((await apply('own', { annotations: { a: '1' } })).status).to.equal(200)
      expect((await apply('own', { annotations: { a: '2' }, resourceVersion: old })).status).to.equal(409)
      expect((await ask('PATCH', `${slices}/own`, slice('own'), applied)).status).to.equal(422)
      expect((await ask('PATCH', `${slices}/own?fieldManager=facts`, slice('own'), 'text/plain')).status).to.equal(415)
      expect((await apply('Not_A_Name')).status).to.equal(422)
    })

    it('create refuses what is there, and a removal what has changed or is not there', async () => {
      expect((await ask('POST', slices, slice('made'))).status).to.equal(201)
      const again = await ask('POST', slices, slice('made'))
      expect([again.status, again.said.reason]).to.deep.equal([409, 'AlreadyExists'])
      const old = await versionOf('made')
      await apply('made', { annotations: { changed: 'yes' } })
      const only = (resourceVersion: string): object => ({
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        preconditions: { resourceVersion },
      })
      expect((await ask('DELETE', `${slices}/made`, only(old))).status).to.equal(409)
      expect((await ask('DELETE', `${slices}/made`, only(await versionOf('made')))).status).to.equal(200)
      expect((await ask('DELETE', `${slices}/made`)).status).to.equal(404)
    })

    it('whoever is not known is told 401, and a kind that is not installed is 404', async () => {
      expect((await ask('GET', slices, undefined, undefined, 'nobody')).status).to.equal(401)
      expect(
        (await server.open('GET', `/apis/example.com/v1/namespaces/${server.namespace}/things`)).statusCode,
      ).to.equal(404)
    })
  })
}
