import { expect } from 'chai'
import { MeshError } from '../../../../../contracts/errors.ts'
import type { ConfigDocument } from '../../../../../contracts/registry-adapter.ts'
import { clientRequests } from '../../../../../registry-adapters/nacos/wire/messages.ts'
import { adapterBench } from '../../../../support/nacos/bench-of-adapters.ts'
import type { FaultServer, GrpcReply } from '../../../../support/nacos/fault-server.ts'
import type { HttpReply } from '../../../../support/nacos/stand-in/http.ts'
import { eventually } from '../../../../support/registry-listener.ts'

const signal = (): AbortSignal => AbortSignal.timeout(5000)

describe('documents of Nacos', () => {
  const bench = adapterBench()
  afterEach(() => bench.closeAll())

  const watching = (server: FaultServer, dataIds: readonly string[] = ['mesh']) => {
    const opened = bench.open([server])
    const heard = new Map<string, (string | undefined)[]>(dataIds.map((dataId) => [dataId, []]))
    const subscriptions = dataIds.map((dataId) =>
      opened.adapter.config.watch('rules', dataId, (document) => heard.get(dataId)!.push(document?.content)),
    )
    return { ...opened, heard, subscriptions }
  }

  it('opens no connection for documents until somebody needs one', async () => {
    const server = await bench.server()
    const { adapter } = bench.open([server])
    await eventually(() => adapter.status().connected, 'a connection')
    expect(server.connections.map(({ module }) => module)).to.deep.equal(['naming'])
  })

  it('hears of changes by push, each of its own document', async () => {
    const server = await bench.server()
    server.store.writeDocument('', 'rules', 'a', 'a1')
    const { heard } = watching(server, ['a', 'b'])
    await eventually(() => heard.get('a')!.length === 1 && heard.get('b')!.length === 1, 'both')
    await eventually(() => server.connections.some(({ documents }) => documents.size === 2), 'listening to both')
    server.store.writeDocument('', 'rules', 'b', 'b1')
    await eventually(() => heard.get('b')!.length === 2, 'the change')
    expect(heard.get('a')).to.deep.equal(['a1'])
    expect(heard.get('b')).to.deep.equal([undefined, 'b1'])
  })

  it('asks in the namespace of the registry, where public is the empty tenant', async () => {
    const server = await bench.server()
    server.store.writeDocument('dev', 'rules', 'mesh', 'of dev')
    const { adapter } = bench.open([server], { namespace: 'dev' })
    expect((await adapter.config.read('rules', 'mesh', signal()))?.content).to.equal('of dev')
    expect(await bench.open([server]).adapter.config.read('rules', 'mesh', signal())).to.equal(undefined)
    const tenants = server.grpcSeen
      .filter(({ type }) => type === clientRequests.configQuery)
      .map(({ body }) => body['tenant'])
    expect(tenants).to.deep.equal(['dev', ''])
  })

  it('reads a document again that is being written at the moment of the question (400), after a write of its own, too', async () => {
    const server = await bench.server()
    server.store.writeDocument('', 'rules', 'mesh', 'a: 1')
    const { adapter } = bench.open([server])
    let refusals = 0
    server.grpc.onRequest = ({ type }): GrpcReply | undefined =>
      type === clientRequests.configQuery && refusals++ % 2 === 0
        ? {
            kind: 'answer',
            body: { resultCode: 500, errorCode: 400, message: 'requested file is being modified, please try later.' },
          }
        : undefined
    const read = await adapter.config.read('rules', 'mesh', signal())
    expect(read?.content).to.equal('a: 1')
    expect((await adapter.config.publish('rules', 'mesh', 'a: 2', read!.revision, signal())).content).to.equal('a: 2')
    expect(refusals).to.equal(6)
  })

  it('writes again, compared with the same revision, while the server goes on showing that one', async () => {
    const server = await bench.server()
    server.store.writeDocument('', 'rules', 'mesh', 'a: 1')
    const { adapter } = bench.open([server])
    const before = await adapter.config.read('rules', 'mesh', signal())
    const compared: unknown[] = []
    server.grpc.onRequest = ({ type, body }): GrpcReply | undefined => {
      if (type === clientRequests.configPublish) compared.push(body['casMd5'])
      return type === clientRequests.configQuery && compared.length === 1
        ? { kind: 'answer', body: { resultCode: 200, content: 'a: 1', lastModified: 1 } }
        : undefined
    }
    const written = await adapter.config.publish('rules', 'mesh', 'a: 2', before!.revision, signal())
    expect(written.content).to.equal('a: 2')
    expect(compared).to.deep.equal([before!.revision, before!.revision])
  })

  it('compares by itself over HTTP where the server takes a compare-and-set and does not write', async () => {
    const server = await bench.server({ dialect: '1.x' })
    server.store.writeDocument('', 'rules', 'mesh', 'a: 1')
    const { adapter } = bench.open([server], { transport: 'http', api: 'v1' })
    const before = await adapter.config.read('rules', 'mesh', signal())
    server.http.onRequest = ({ method, headers }): HttpReply | undefined =>
      method === 'POST' && headers['casmd5'] !== undefined ? { kind: 'answer', status: 200, body: 'true' } : undefined
    const written = await adapter.config.publish('rules', 'mesh', 'a: 2', before!.revision, signal())
    expect(written.content).to.equal('a: 2')
    expect(server.store.document('', 'rules', 'mesh')?.content).to.equal('a: 2')
  })

  it('learns after an outage what was written meanwhile, and of nothing else', async () => {
    const server = await bench.server()
    for (const dataId of ['a', 'b']) server.store.writeDocument('', 'rules', dataId, `${dataId}1`)
    const { heard } = watching(server, ['a', 'b'])
    await eventually(() => heard.get('a')!.length === 1 && heard.get('b')!.length === 1, 'both')
    await server.stop()
    server.store.writeDocument('', 'rules', 'b', 'b2')
    await server.start()
    await eventually(() => heard.get('b')!.length === 2, 'the change')
    expect(heard.get('a')).to.deep.equal(['a1'])
    expect(heard.get('b')).to.deep.equal(['b1', 'b2'])
  })

  it('does not believe a server that denies a document once, as one does that just came back', async () => {
    const server = await bench.server()
    server.store.writeDocument('', 'rules', 'mesh', 'good')
    const { heard, deps } = watching(server)
    await eventually(() => heard.get('mesh')!.length === 1, 'the content')
    let denials = 0
    server.grpc.onRequest = ({ type }): GrpcReply | undefined =>
      type === clientRequests.configQuery && denials++ < 2
        ? { kind: 'answer', body: { resultCode: 500, errorCode: 300, message: 'config data not exist' } }
        : undefined
    await eventually(() => server.connections.some(({ documents }) => documents.size === 1), 'listening')
    server.store.writeDocument('', 'rules', 'mesh', 'better')
    await eventually(() => heard.get('mesh')!.length === 2, 'the change')
    expect(heard.get('mesh')).to.deep.equal(['good', 'better'])
    expect(deps.counted('registry_documents_doubted')).to.equal(2)
  })

  it('does not go back to an older content because one server lags', async () => {
    const server = await bench.server()
    server.store.writeDocument('', 'rules', 'mesh', 'new')
    const { heard } = watching(server)
    await eventually(() => heard.get('mesh')!.length === 1, 'the content')
    await eventually(() => server.connections.some(({ documents }) => documents.size === 1), 'listening')
    let old = 0
    server.grpc.onRequest = ({ type }): GrpcReply | undefined =>
      type === clientRequests.configQuery && old++ < 2
        ? { kind: 'answer', body: { resultCode: 200, content: 'old', lastModified: 1000 } }
        : undefined
    server.store.writeDocument('', 'rules', 'mesh', 'newer')
    await eventually(() => heard.get('mesh')!.length === 2, 'the change')
    expect(heard.get('mesh')).to.deep.equal(['new', 'newer'])
  })

  it('sees through a server that says yes to a compare-and-set which did not write', async () => {
    const server = await bench.server()
    server.store.writeDocument('', 'rules', 'mesh', 'theirs')
    const { adapter } = bench.open([server])
    const before = await adapter.config.read('rules', 'mesh', signal())
    server.grpc.onRequest = ({ type }): undefined => {
      // somebody else writes between our look and our write
      if (type === clientRequests.configPublish) server.store.writeDocument('', 'rules', 'mesh', 'theirs again')
      return undefined
    }
    const failure = await adapter.config
      .publish('rules', 'mesh', 'mine', before!.revision, signal())
      .catch((error: unknown) => error)
    expect(failure).to.be.instanceOf(MeshError).with.property('code', 'E_REGISTRY_CONFLICT')
    expect(server.store.document('', 'rules', 'mesh')?.content).to.equal('theirs again')
  })

  it('waits for the connection when it is asked to write before there is one, as long as the caller does', async () => {
    const server = await bench.server()
    await server.stop()
    const { adapter } = bench.open([server], { transport: 'grpc' })
    const failure = await adapter.config
      .read('rules', 'mesh', AbortSignal.timeout(200))
      .catch((error: unknown) => error)
    expect(failure).to.be.instanceOf(MeshError)
    const writing = adapter.config.publish('rules', 'mesh', 'late', undefined, signal())
    await server.start()
    expect((await writing).content).to.equal('late')
  })

  it('repeats questions that fail, and stays with what it has meanwhile', async () => {
    const server = await bench.server()
    server.store.writeDocument('', 'rules', 'mesh', 'one')
    const { heard } = watching(server)
    await eventually(() => heard.get('mesh')!.length === 1, 'the content')
    await eventually(() => server.connections.some(({ documents }) => documents.size === 1), 'listening')
    const faults: GrpcReply[] = [
      { kind: 'status', code: 14 },
      { kind: 'bytes', bytes: Buffer.from('x') },
      { kind: 'answer', body: { resultCode: 200 } },
      { kind: 'answer', body: { resultCode: 500, errorCode: 400, message: 'busy' } },
    ]
    let at = 0
    server.grpc.onRequest = ({ type }) => (type === clientRequests.configQuery ? faults[at++] : undefined)
    server.store.writeDocument('', 'rules', 'mesh', 'two')
    await eventually(() => heard.get('mesh')!.length === 2, 'the change')
    expect(at).to.be.greaterThan(4)
    expect(heard.get('mesh')).to.deep.equal(['one', 'two'])
  })

  it('stops listening with the last watcher', async () => {
    const server = await bench.server()
    const { subscriptions, adapter } = watching(server, ['a', 'b'])
    await eventually(() => server.connections.some(({ documents }) => documents.size === 2), 'listening to both')
    const again: (ConfigDocument | undefined)[] = []
    adapter.config.watch('rules', 'b', (document) => again.push(document))
    for (const subscription of subscriptions) subscription.unsubscribe()
    await eventually(() => server.connections.some(({ documents }) => documents.size === 1), 'listening to one')
    await eventually(() => again.length === 1, 'an answer for the late watcher')
  })
})
