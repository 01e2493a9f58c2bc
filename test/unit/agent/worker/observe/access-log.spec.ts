import { expect } from 'chai'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, existsSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AccessLog } from '../../../../../agent/worker/observe/access-log.ts'
import type { LoggedRequest } from '../../../../../agent/worker/observe/logged-request.ts'
import { Tallies } from '../../../../../agent/worker/observe/tallies.ts'
import { eventually } from '../../../../support/worker/eventually.ts'

const request: LoggedRequest = {
  method: 'GET',
  path: '/a?b=1',
  barePath: '/a',
  query: 'b=1',
  authority: 'orders',
  status: 200,
  grpcStatus: -1,
  streamId: 0,
  code: undefined,
  flag: '-',
  details: '',
  notes: '',
  durationMs: 12.4,
  headMs: 11.6,
  header: (name) => ({ 'user-agent': 'curl/8', 'x-name': '张"'.slice(1) })[name],
  replyField: () => undefined,
  requestBytes: 0,
  replyBytes: 1_234_567_890,
  sourceAddress: '127.0.0.1',
  sourceApp: 'shop',
  upstreamId: '10.0.0.1:80',
  upstreamCluster: 'outbound|||public/DEFAULT_GROUP@@orders',
  routeName: 'default',
  listenerName: 'service:orders',
  attempts: 1,
  traceId: '',
  spanId: '',
  ids: undefined,
  givenId: undefined,
  reporter: 'source',
  service: 'orders',
  localService: 'shop',
  tier: 'agent',
  protocol: 'HTTP/1.1',
}

describe('access log', () => {
  let folder: string
  let path: string
  let tallies: Tallies
  let log: AccessLog
  let warnings: string[]

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-access-log-'))
    path = join(folder, 'access.log')
    tallies = new Tallies()
    warnings = []
    log = new AccessLog({
      random: () => 0.5,
      wallClock: () => 1_700_000_000_000.4,
      tallies,
      records: { isOn: false, write: () => {} },
      warn: (text) => warnings.push(text),
    })
  })
  afterEach(() => {
    log.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function lines(count: number, file = path): Promise<string[]> {
    let found: string[] = []
    await eventually(() => {
      found = existsSync(file) ? readFileSync(file, 'latin1').split('\n').slice(0, -1) : []
      return found.length >= count
    })
    return found
  }

  it('writes a line of text in the default form of Envoy', async () => {
    log.configure({ format: 'text', path, share: 1 }, 'test-host')
    log.write(request)
    expect(await lines(1)).to.deep.equal([
      '[2023-11-14T22:13:19.988Z] "GET /a?b=1 HTTP/1.1" 200 - 0 1234567890 12 12 "-" "curl/8" "-" "orders" "10.0.0.1:80"',
    ])
  })

  it('writes a line in the form of the operator', async () => {
    const textFormat =
      '%HOSTNAME% %REQ(X-A?USER-AGENT):4% %UPSTREAM_CLUSTER% %ROUTE_NAME% %MESH_LISTENER% %MESH_SOURCE_APP% %MESH_TIER% %MESH_ERROR% %RESPONSE_CODE_DETAILS% %UPSTREAM_REQUEST_ATTEMPT_COUNT% 100%%'
    log.configure({ format: 'text', path, share: 1, textFormat }, 'test-host')
    log.write(request)
    log.write({ ...request, code: 'E_CONNECT_REFUSED' })
    expect(await lines(2)).to.deep.equal([
      'test-host curl outbound|||public/DEFAULT_GROUP@@orders default service:orders shop agent - via_upstream 1 100%',
      'test-host curl outbound|||public/DEFAULT_GROUP@@orders default service:orders shop agent E_CONNECT_REFUSED e_connect_refused 1 100%',
    ])
  })

  it('writes times in the form of the operator, and what never exists here as absent', async () => {
    const textFormat = '%START_TIME(%d/%b/%Y %T.%3f)% %REQUESTED_SERVER_NAME% %DYNAMIC_METADATA(a:b)%'
    log.configure({ format: 'text', path, share: 1, textFormat }, 'test-host')
    log.write(request)
    expect(await lines(1)).to.deep.equal(['14/Nov/2023 22:13:19.988 - -'])
  })

  it("writes a line in Istio's default form", async () => {
    // meshConfig.accessLogFormat of Istio 1.24 where nothing is set
    const textFormat =
      '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
      '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% ' +
      '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
      '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% ' +
      '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n'
    log.configure({ format: 'text', path, share: 1, textFormat }, 'test-host')
    log.write(request)
    expect(await lines(1)).to.deep.equal([
      '[2023-11-14T22:13:19.988Z] "GET /a?b=1 HTTP/1.1" 200 - via_upstream - "-" 0 1234567890 12 12 "-" "curl/8" "-" ' +
        '"orders" "10.0.0.1:80" outbound|||public/DEFAULT_GROUP@@orders - - 127.0.0.1 - default',
    ])
  })

  it('writes the id of a stream, where the protocol has such', async () => {
    log.configure({ format: 'text', textFormat: '%PROTOCOL% %STREAM_ID%', path, share: 1 }, 'test-host')
    log.write(request)
    log.write({ ...request, protocol: 'HTTP/2', streamId: 7 })
    expect(await lines(2)).to.deep.equal(['HTTP/1.1 -', 'HTTP/2 7'])
  })

  it('writes a line of JSON with every field', async () => {
    log.configure({ format: 'json', path, share: 1 }, 'test-host')
    log.write({ ...request, code: 'E_CONNECT_REFUSED', flag: 'UF', path: '/"\n' })
    const [line = ''] = await lines(1)
    expect(JSON.parse(line)).to.include({ path: '/"\n', mesh_error: 'E_CONNECT_REFUSED', bytes_sent: 1_234_567_890 })
  })

  it('lets nothing that a caller wrote end the quotes or the line', async () => {
    log.configure({ format: 'text', path, share: 1 }, 'test-host')
    log.write({ ...request, path: '/x" 200\r\n[fake]\\', authority: 'a"b\n' })
    const [line = '', ...others] = await lines(1)
    expect(others).to.deep.equal([])
    expect(line).to.contain('"GET /x\\" 200\\x0d\\x0a[fake]\\\\ HTTP/1.1"').and.to.contain('"a\\"b\\x0a"')
  })

  it('writes all lines once and in order, however many come', async () => {
    log.configure({ format: 'text', path, share: 1 }, 'test-host')
    for (let nth = 0; nth < 20_000; nth++) {
      log.write({ ...request, status: 200 + (nth % 100), requestBytes: nth })
      if (nth % 2000 === 1999) await lines(nth + 1)
    }
    const written = await lines(20_000)
    expect(written.map((line) => Number(line.split(' ')[6]))).to.deep.equal(
      Array.from({ length: 20_000 }, (_v, nth) => nth),
    )
    expect(tallies.droppedLogLines).to.equal(0)
  })

  it('drops and counts lines beyond its bound, and goes on when there is room again', async () => {
    log.configure({ format: 'text', path, share: 1 }, 'test-host')
    // In one turn of the loop no write can end.
    for (let nth = 0; nth < 60_000; nth++) log.write(request)
    const dropped = tallies.droppedLogLines
    expect(dropped).to.be.above(30_000).and.below(60_000)
    const before = await lines(60_000 - dropped)
    await eventually(() => {
      const all = tallies.droppedLogLines
      log.write(request)
      return tallies.droppedLogLines === all
    })
    expect((await lines(before.length + 1)).length).to.equal(60_000 - dropped + 1)
  })

  it('goes on in a new file after a rotation', async () => {
    log.configure({ format: 'text', path, share: 1 }, 'test-host')
    log.write(request)
    await lines(1)
    renameSync(path, `${path}.1`)
    log.reopen()
    log.write({ ...request, path: '/new' })
    expect((await lines(1))[0]).to.contain('/new')
    expect(await lines(1, `${path}.1`)).to.have.length(1)
  })

  it('warns and goes on when the file cannot be opened', async () => {
    log.configure({ format: 'text', path: join(folder, 'no', 'access.log'), share: 1 }, 'test-host')
    log.write(request)
    await eventually(() => warnings.length > 0)
    expect(warnings[0]).to.contain('lines are lost until it can be written again')
    log.configure({ format: 'text', path, share: 1 }, 'test-host')
    log.write(request)
    expect(await lines(1)).to.have.length(1)
  })

  it('counts every line that cannot be written, and says so once in a while', async () => {
    log.configure({ format: 'text', path: '/dev/full', share: 1 }, 'test-host')
    for (let round = 1; round <= 5; round++) {
      for (let nth = 0; nth < 1000; nth++) log.write(request)
      await log.written(60_000)
      expect(tallies.droppedLogLines).to.equal(1000 * round)
    }
    expect(warnings).to.have.length(1)
    expect(warnings[0]).to.match(/^access log \/dev\/full: ENOSPC.*; lines are lost until it can be written again$/)
    log.configure({ format: 'text', path: folder, share: 1 }, 'test-host')
    for (let nth = 0; nth < 10; nth++) log.write(request)
    await log.written(60_000)
    expect(tallies.droppedLogLines).to.equal(5010)
    expect(warnings[1]).to.include(`access log ${folder}: EISDIR`)
  })

  it('has written its last lines before the process may end, also where the file has to be opened first', async () => {
    log.configure({ format: 'text', path, share: 1 }, 'test-host')
    log.write(request)
    log.flush()
    // while the first batch is on its way
    log.write(request)
    await log.written(60_000)
    expect(readFileSync(path, 'latin1').split('\n')).to.have.length(3)
    log.reopen()
    log.write(request)
    await log.written(60_000)
    expect(readFileSync(path, 'latin1').split('\n')).to.have.length(4)
    await log.written(60_000)
    expect(warnings).to.deep.equal([])
  })

  it('does not wait longer for its last lines than it is told, and says that they are lost', async () => {
    execFileSync('mkfifo', [path])
    log.configure({ format: 'text', path, share: 1 }, 'test-host')
    log.write(request)
    await log.written(20)
    expect(warnings).to.deep.equal([`access log ${path}: its last lines were not written in 20 ms and are lost`])
    // a reader lets the writer go
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    await log.written(60_000)
    closeSync(reader)
    expect(tallies.droppedLogLines).to.equal(0)
  })

  it('wants a share of the good requests and all others', () => {
    log.configure({ format: 'text', path, share: 0.4 }, 'test-host')
    const good = { status: 200, code: undefined, flag: '-', notes: '' } as const
    expect(log.wants(good)).to.equal(false)
    expect(log.wants({ ...good, status: 500 })).to.equal(true)
    expect(log.wants({ ...good, flag: 'UH' })).to.equal(true)
    expect(log.wants({ ...good, code: 'E_ROUTE_NONE' })).to.equal(true)
    expect(log.wants({ ...good, notes: 'audit[]' })).to.equal(true)
    log.configure({ format: 'text', path, share: 0.6 }, 'test-host')
    expect(log.wants(good)).to.equal(true)
  })
})
