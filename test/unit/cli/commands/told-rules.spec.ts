import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AdminClient, AdminReply } from '../../../../cli/admin-client.ts'
import type { MeshError } from '../../../../contracts/errors.ts'
import { applyRules } from '../../../../cli/commands/told-rules.ts'
import { exitCodes, type ExitCode } from '../../../../cli/exit-codes.ts'
import { createOutput } from '../../../../cli/output.ts'

const written: AdminReply = { status: 200, text: JSON.stringify({ metadata: { resourceVersion: '7' } }) }

describe('hostmesh rules apply', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-told-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  /** Paths that are asked for, and what became of it. */
  async function apply(
    text: string,
    reply = written,
  ): Promise<{ asked: string[]; problem: string; code: string; exit: ExitCode | undefined }> {
    const file = join(folder, 'rule.yaml')
    writeFileSync(file, text)
    const asked: string[] = []
    const admin: AdminClient = {
      where: 'test',
      get: () => Promise.reject(new Error('not asked for')),
      post: () => Promise.reject(new Error('not asked for')),
      call: (method, path) => {
        asked.push(`${method} ${path.split('?')[0]}`)
        return Promise.resolve(reply)
      },
    }
    const sink = { write: () => undefined }
    const context = { output: createOutput(false, { out: sink, err: sink }), admin, runDir: undefined }
    const { code, exit, message } = await applyRules(context, [file], undefined).then(
      (exit) => ({ code: '', exit, message: '' }),
      ({ code, message }: MeshError) => ({ code, exit: undefined, message }),
    )
    return { asked: [...new Set(asked)], problem: message, code, exit }
  }

  it('tells a rule in the version of the API that its file says', async () => {
    const { asked, problem } = await apply(
      'apiVersion: networking.istio.io/v1beta1\nkind: VirtualService\nmetadata: { name: orders, namespace: shop }\n',
    )
    expect(problem).to.equal('')
    expect(asked).to.deep.equal(['PATCH /apis/networking.istio.io/v1beta1/namespaces/shop/virtualservices/orders'])
  })

  it('does not call a rule rejected whose store is away', async () => {
    const away = { status: 503, text: JSON.stringify({ message: 'the store has not been read yet: nacos is away' }) }
    const { code, problem } = await apply(
      'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: orders, namespace: shop }\n',
      away,
    )
    expect([code, problem]).to.deep.equal(['E_ADMIN_UNREACHABLE', 'the store has not been read yet: nacos is away'])
  })

  it('does not call a rule rejected whose user has no right to tell it, or that was told at the wrong place', async () => {
    for (const [status, words] of [
      [403, "PATCH is for root and the agent's own user; this caller is user 1000"],
      [404, 'no such page'],
      [405, 'PATCH is not allowed'],
    ] as const) {
      const { code, problem } = await apply(
        'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: orders, namespace: shop }\n',
        { status, text: JSON.stringify({ message: words }) },
      )
      expect([code, problem]).to.deep.equal(['E_ADMIN_REQUEST', words])
    }
  })

  it('counts as rejected what the API refuses for what it is', async () => {
    const { code, exit } = await apply(
      'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: orders, namespace: shop }\n',
      { status: 422, text: JSON.stringify({ message: 'spec.http[0]: unknown' }) },
    )
    expect([code, exit]).to.deep.equal(['', exitCodes.config])
  })

  for (const [what, text, words] of [
    ['no name', 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {}\n', 'metadata.name'],
    ['no metadata', 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n', 'metadata.name'],
    [
      'a name that is a number',
      'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: 7 }\n',
      'metadata.name',
    ],
    ['a kind that is none', 'apiVersion: v1\nkind: Pod\nmetadata: { name: x }\n', 'kind: found "Pod"'],
    ['another group', 'apiVersion: example.com/v1\nkind: VirtualService\nmetadata: { name: x }\n', 'apiVersion'],
    ['nothing but a word', 'hello\n', 'kind'],
    ['a list with a hole', 'kind: List\nitems: [null]\n', 'kind'],
  ] as const)
    it(`refuses by its file a resource with ${what}, and tells nothing`, async () => {
      const { asked, problem } = await apply(text)
      expect(problem).to.include('rule.yaml').and.to.include(words)
      expect(asked).to.deep.equal([])
    })
})
