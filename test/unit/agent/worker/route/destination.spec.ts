import { expect } from 'chai'
import { clusterKeyFor, compileDestination } from '../../../../../agent/worker/route/destination.ts'
import type { DestinationSpec } from '../../../../../contracts/route-spec.ts'
import { orders } from '../../../../support/routing.ts'

const keyFor = (more: Partial<DestinationSpec>, named: number, dialled = 15_001): string =>
  clusterKeyFor(compileDestination({ service: orders, weight: 1, ...more }), named, dialled).slice(orders.length)

describe('the port of a destination', () => {
  it('is the one of the rule, whatever the caller dialled', () => {
    expect(keyFor({ port: 9090 }, 0)).to.equal('||9090')
    expect(keyFor({ port: 9090 }, 80)).to.equal('||9090')
  })

  it('makes no difference where the service has none of its own', () => {
    expect(keyFor({}, 8080)).to.equal('||')
    expect(keyFor({ subset: 'v1' }, 8080)).to.equal('|v1|')
  })

  it('is the one that the caller named, of a service whose ports are listed', () => {
    const ports = { ports: [8080, 80], hasOnlyPorts: true }
    expect(keyFor(ports, 8080)).to.equal('||8080')
    expect(keyFor(ports, 0), 'none named: 80').to.equal('||80')
    expect(keyFor({ ...ports, ports: [8080, 8081] }, 0), 'none named: the first').to.equal('||8080')
    expect(keyFor(ports, 9999), 'no endpoint has it').to.equal('||0')
    expect(keyFor(ports, 0, 8080), 'the port of the listener itself').to.equal('||8080')
  })

  it('has settings of its own where the rule has some, and is no matter elsewhere', () => {
    expect(keyFor({ ports: [9090], subset: 'v1' }, 9090)).to.equal('|v1|9090')
    expect(keyFor({ ports: [9090] }, 8080)).to.equal('||')
    expect(keyFor({ ports: [9090] }, 0, 9090)).to.equal('||9090')
  })
})
