import { expect } from 'chai'
import { readEndpointFile } from '../../../../registry-adapters/file/endpoint-file.ts'

function problemsOf(source: string, allowLoopback = false): readonly string[] {
  const result = readEndpointFile('orders.yaml', source, allowLoopback)
  return result.ok ? [] : result.problems
}

describe('endpoint file', () => {
  it('is read with defaults, sorted, with version and zone as metadata', () => {
    const result = readEndpointFile(
      'orders.yaml',
      [
        'service: G@@orders',
        'protectThreshold: 0.2',
        'endpoints:',
        '  - { address: 10.0.0.2, port: 80, version: v2, zone: z1, metadata: { team: a, shard: 3 } }',
        '  - { address: 10.0.0.1, port: 80, weight: 0 }',
      ].join('\n'),
      false,
    )
    expect(result.ok && result.file.service).to.equal('public/G@@orders')
    expect(result.ok && result.file.protectThreshold).to.equal(0.2)
    expect(result.ok && result.file.endpoints.map(({ address, weight }) => `${address} ${weight}`)).to.deep.equal([
      '10.0.0.1 0',
      '10.0.0.2 1',
    ])
    expect(result.ok && result.file.endpoints[1]).to.deep.include({
      healthy: true,
      enabled: true,
      version: 'v2',
      locality: { region: '', zone: 'z1' },
      metadata: { team: 'a', shard: '3', version: 'v2', zone: 'z1' },
    })
  })

  it('names every problem at once, with file, line and path', () => {
    const problems = problemsOf(
      [
        'service: "bad name"',
        'endpoints:',
        '  - { address: db.example, port: 80 }',
        '  - address: 10.0.0.1',
        '    port: 70000',
        '    wieght: 3',
      ].join('\n'),
    )
    expect(problems).to.have.length(4)
    expect(problems.join('\n'))
      .to.include('orders.yaml:1: service: allowed is name')
      .and.include('orders.yaml:3: endpoints[0].address: allowed is an IPv4 or IPv6 address')
      .and.include('orders.yaml:5: endpoints[1].port')
      .and.include('orders.yaml:4: endpoints[1]: unknown "wieght"')
  })

  it('is refused with the line where it cannot be parsed', () => {
    expect(problemsOf('service: orders\nendpoints: [\n')[0]).to.match(/^orders\.yaml:[23]: cannot be parsed/)
    expect(problemsOf('{"service": "x", "endpoints": [{')[0]).to.match(/^orders\.yaml:1: cannot be parsed/)
  })

  it('is refused when it is empty, as it is while an editor writes it', () => {
    expect(problemsOf('')).to.have.length(1)
  })

  it('is refused with an instance that is there twice', () => {
    const problems = problemsOf(
      'service: a\nendpoints:\n  - { address: 10.0.0.1, port: 1 }\n  - { address: 10.0.0.1, port: 1 }\n',
    )
    expect(problems).to.deep.equal(['orders.yaml:4: endpoints[1]: 10.0.0.1:1 is there twice'])
  })

  it('may hold loopback addresses only where that is allowed', () => {
    const source = 'service: a\nendpoints:\n  - { address: 127.0.0.1, port: 1 }\n'
    expect(problemsOf(source)[0]).to.include('orders.yaml:3: endpoints[0]: 127.0.0.1:1 is a loopback address')
    expect(problemsOf(source, true)).to.deep.equal([])
  })

  it('cannot fill the memory with aliases', () => {
    const lines = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
    for (let index = 0; index < 12; index++) {
      const former = index === 0 ? 'a' : `b${index - 1}`
      lines.push(`b${index}: &b${index} [${Array.from({ length: 10 }, () => `*${former}`).join(', ')}]`)
    }
    expect(problemsOf(lines.join('\n'))[0]).to.include('alias')
  })

  it('of JSON that lists too many instances is refused before it is composed', () => {
    const endpoint = { address: '10.0.0.1', port: 80 }
    const list = (count: number): string => JSON.stringify({ service: 'a', endpoints: Array(count).fill(endpoint) })
    const started = performance.now()
    const read = readEndpointFile('a.json', list(100_000), false)
    expect(read).to.deep.equal({
      ok: false,
      problems: ['a.json:1: endpoints: too big: expected array to have <=10000 items'],
    })
    // composing it takes ten times as long
    expect(performance.now() - started).to.be.lessThan(2500)
  })
})
