import { systemClock } from '../../../../../contracts/clock.ts'
import { expect } from 'chai'
import { MeshError } from '../../../../../contracts/errors.ts'
import { parseServerAddress, ServerList } from '../../../../../registry-adapters/nacos/server-list/server-list.ts'
import { eventually } from '../../../../support/registry-listener.ts'

describe('list of Nacos servers', () => {
  const problems: string[] = []
  let answers: Record<string, readonly string[]>
  let list: ServerList | undefined

  beforeEach(() => {
    problems.length = 0
    answers = {}
  })
  afterEach(() => list?.close())

  const open = (addresses: readonly string[], random: () => number = Math.random): ServerList => {
    list = new ServerList(addresses, 20, {
      clock: systemClock,
      random,
      resolve: (name) =>
        answers[name] === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(answers[name]),
      onProblem: (message) => problems.push(message),
    })
    return list
  }

  it('reads addresses with and without port, and IPv6 in brackets', () => {
    expect(parseServerAddress('nacos.example')).to.deep.equal({ host: 'nacos.example', port: 8848 })
    expect(parseServerAddress('[2001:db8::1]:80')).to.deep.equal({ host: '2001:db8::1', port: 80 })
    for (const text of ['', 'a b', 'a:0', 'a:65536', 'http://a', 'a/b', '[1.2.3.4]:80', 'user:pw@a:80'])
      expect(() => parseServerAddress(text), text)
        .to.throw(MeshError)
        .with.property('code', 'E_CONFIG_INVALID')
    expect(() => open([])).to.throw(MeshError)
  })

  it('resolves names again, tells of changes, and counts an address once', async () => {
    answers['nacos.example'] = ['10.0.0.1', '10.0.0.2']
    const servers = open(['nacos.example:8848', '10.0.0.2:8848'])
    let changes = 0
    servers.onChange(() => changes++)
    servers.start()
    await eventually(() => servers.servers.length === 2, 'two servers')
    answers['nacos.example'] = ['10.0.0.3']
    await eventually(() => servers.has('10.0.0.3:8848') && !servers.has('10.0.0.1:8848'), 'the new address')
    expect(servers.servers.map(({ host }) => host)).to.include('nacos.example')
    expect(changes).to.equal(2)
  })

  it('keeps the addresses of a name that does not resolve any more', async () => {
    answers['nacos.example'] = ['10.0.0.1']
    const servers = open(['nacos.example'])
    servers.start()
    await eventually(() => servers.servers.length === 1, 'a server')
    delete answers['nacos.example']
    await eventually(() => problems.length > 0, 'a problem')
    expect(servers.has('10.0.0.1:8848')).to.equal(true)
    expect(problems[0]).to.include('nacos.example: cannot be resolved')
  })

  it('spreads clients over the servers, the last one used at the end', () => {
    const counts = new Map<string, number>()
    const servers = open(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
    for (let index = 0; index < 3000; index++) {
      const [first] = servers.inRandomOrder()
      counts.set(first!.id, (counts.get(first!.id) ?? 0) + 1)
    }
    for (const count of counts.values()) expect(count).to.be.within(800, 1200)
    expect(servers.inRandomOrder('10.0.0.2:8848').at(-1)?.id).to.equal('10.0.0.2:8848')
  })
})
