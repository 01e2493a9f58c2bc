import { expect } from 'chai'
import type { AdminClient } from '../../../../cli/admin-client.ts'
import { mtlsPlan } from '../../../../cli/commands/mtls.ts'
import { createOutput } from '../../../../cli/output.ts'
import type { MtlsPort } from '../../../../contracts/mtls-view.ts'

const port = (over: Partial<MtlsPort>): MtlsPort => ({
  listener: 'inbound orders',
  service: 'orders',
  address: '10.0.0.7:21007',
  mode: 'permissive',
  mutual: 0,
  plain: [],
  ...over,
})

const from = (caller: string, connections: number) => ({ caller, connections })

/** Answers one look after the other. */
async function plan(during: number | undefined, ...looks: MtlsPort[][]): Promise<{ code: number; said: string }> {
  const written: string[] = []
  const sink = { write: (text: string) => written.push(text) }
  const admin: AdminClient = {
    where: 'test',
    get: () => Promise.resolve({ status: 200, text: JSON.stringify({ ports: looks.shift() }) }),
    post: () => Promise.reject(new Error('not asked for')),
    call: () => Promise.reject(new Error('not asked for')),
  }
  const context = { output: createOutput(false, { out: sink, err: sink }), admin, runDir: undefined }
  return { code: await mtlsPlan(context, { during }), said: written.join('') }
}

describe('hostmesh mtls plan', () => {
  it('names who would be shut out, and exits 1', async () => {
    const { code, said } = await plan(undefined, [
      port({ mutual: 9, plain: [from('10.0.0.31', 12), from('10.0.0.44', 2)] }),
    ])
    expect(code).to.equal(1)
    expect(said).to.include('would shut out 10.0.0.31 (12), 10.0.0.44 (2)')
  })

  it('names a few of many', async () => {
    const many = Array.from({ length: 8 }, (_, index) => from(`10.0.0.${index}`, 1))
    expect((await plan(undefined, [port({ plain: many })])).said).to.include('10.0.0.4 (1) and 3 more')
  })

  for (const [what, over, words] of [
    ['everybody came in mutual TLS', { mutual: 1 }, 'can be switched on'],
    ['nobody called', {}, 'nobody called'],
    ['it is STRICT', { mode: 'strict', mutual: 1 }, 'is in force'],
    ['the port takes no TLS', { mode: 'plain' }, 'no certificate, or DISABLE'],
  ] as const) {
    it(`says so and exits 0 when ${what}`, async () => {
      const { code, said } = await plan(undefined, [port(over)])
      expect(code).to.equal(0)
      expect(said).to.include(words)
    })
  }

  it('over a time counts only what came in it', async () => {
    const before = port({ mutual: 5, plain: [from('10.0.0.31', 12), from('10.0.0.44', 2)] })
    const quiet = await plan(0, [before], [port({ mutual: 6, plain: before.plain })])
    expect(quiet.code).to.equal(0)
    const busy = await plan(0, [before], [port({ mutual: 6, plain: [from('10.0.0.31', 12), from('10.0.0.44', 3)] })])
    expect(busy.said).to.include('would shut out 10.0.0.44 (1)').and.to.not.include('10.0.0.31')
  })

  it('takes a count that fell for that of an agent that began anew', async () => {
    const before = port({ plain: [from('10.0.0.31', 12)] })
    expect((await plan(0, [before], [port({ plain: [from('10.0.0.31', 3)] })])).said).to.include('10.0.0.31 (3)')
  })
})
