import { expect } from 'chai'
import type { AdminClient } from '../../../../cli/admin-client.ts'
import { ports, variableName } from '../../../../cli/commands/ports.ts'
import { createOutput } from '../../../../cli/output.ts'

function contextAnswering(body: unknown, isJson = false) {
  const written: string[] = []
  const sink = { write: (text: string) => written.push(text) }
  const admin: AdminClient = {
    where: 'test',
    get: () => Promise.resolve({ status: 200, text: JSON.stringify(body) }),
    post: () => Promise.reject(new Error('not asked for')),
    call: () => Promise.reject(new Error('not asked for')),
  }
  return { written, context: { output: createOutput(isJson, { out: sink, err: sink }), admin, runDir: undefined } }
}

const orders = {
  direction: 'outbound',
  service: 'public/DEFAULT_GROUP@@orders',
  address: '127.0.0.1',
  port: 20_001,
  protocol: 'http',
  state: 'listening',
}

describe('hostmesh ports', () => {
  it('prints variables for an environment file', async () => {
    const { context, written } = contextAnswering({ ports: [orders] })
    expect(await ports(context, true)).to.equal(0)
    expect(written.join('')).to.equal('ORDERS_ADDRESS=127.0.0.1:20001\n')
  })

  it('exits 1 when a port could not be had, and says why', async () => {
    const { context, written } = contextAnswering({
      ports: [{ ...orders, state: 'failed', problem: 'taken by pid 7' }],
    })
    expect(await ports(context, false)).to.equal(1)
    expect(written.join('')).to.include('failed: taken by pid 7')
  })

  it('keeps namespace and group in a variable only where they are not the default', () => {
    expect(variableName('public/DEFAULT_GROUP@@order-service')).to.equal('ORDER_SERVICE')
    expect(variableName('test/PAY@@ledger')).to.equal('TEST_PAY_LEDGER')
  })
})
