import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { eachYamlResource, yamlTextProblem } from '../../../../../../agent/control/core/rules/yaml-documents.ts'
import { isLongYaml } from '../../../../../../contracts/yaml-bounds.ts'
import { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import { checkedSpec } from '../../../../../../agent/control/core/rules/rule-resource.ts'
import { readInThread } from '../../../../../../agent/control/core/rules/yaml-in-thread.ts'

const routes = (count: number): string =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: long }\nspec:\n  hosts: [orders]\n  http:\n` +
  Array.from(
    { length: count },
    (_, index) => `  - match: [{ uri: { prefix: "/p${index}" } }]\n    directResponse: { status: 418 }\n`,
  ).join('')

describe('a long text, read in a thread of its own', function () {
  this.timeout(30_000)

  it('is what it is when it is read here: values, problems, lines, positions', async () => {
    const texts = [
      routes(3),
      `# first\n${routes(2)}---\n${routes(1)}---\n# nothing\n`,
      'a: { b: [1, { c: d }], "x y": .inf, 3: .nan, when: 2020-01-01 }\n',
      'base: &x { a: 1 }\nuse: *x\nlist:\n- *x\n- {}\n',
      'a: 1\na: 2\n',
      'a: {\n---\nb: 1\n',
      'spec: { __proto__: 1 }\n',
      'just a word\n',
      '',
      'a: 1\n---\n'.repeat(1001),
    ]
    const paths = [
      [],
      ['spec'],
      ['spec', 'http', 1, 'match', 0, 'uri'],
      ['spec', 'http', 7],
      ['a', 'b', 1, 'c'],
      ['use', 'a'],
      ['list', 1],
      ['3'],
      ['x y', 'deeper'],
      ['constructor'],
    ]
    for (const text of texts) {
      const here = [...eachYamlResource(text)]
      const far = await readInThread(text)
      expect(far.length, text.slice(0, 40)).to.equal(here.length)
      for (const [index, one] of far.entries()) {
        const other = here[index]!
        if ('problem' in one || 'problem' in other) {
          expect(one).to.deep.equal(other)
          continue
        }
        for (const key of ['value', 'problems', 'line', 'text'] as const) expect(one[key]).to.deep.equal(other[key])
        for (const path of paths)
          expect(one.positionOf(path), `${text.slice(0, 40)} ${path.join('.')}`).to.deep.equal(other.positionOf(path))
      }
    }
  })

  it('comes with what the shape of its kind says, as it is said here', async () => {
    const pages = ['traffic', 'authorization', 'jwt'].map((name) => readFileSync(`docs/${name}.md`, 'utf8'))
    const examples = pages.flatMap((page) => [...page.matchAll(/^```yaml\n([^]*?)^```/gm)].map((found) => found[1]!))
    const text = [...examples, 'kind: VirtualService\nspec: { hots: [a], http: [] }\n', 'kind: Other\n'].join('\n---\n')
    const far = await readInThread(text)
    const near = [...eachYamlResource(text)]
    const checked = near.map((one) => ('problem' in one ? undefined : checkedSpec(one)))
    expect(far.map((one) => ('problem' in one ? undefined : one.checked))).to.deep.equal(checked)
    expect(checked.filter((one) => one !== undefined && 'value' in one).length).to.be.greaterThan(30)
    expect(checked.filter((one) => one !== undefined && 'problems' in one).length).to.be.greaterThan(0)
    expect(checked.at(-1), 'of no kind').to.equal(undefined)
  })

  it('lets others have their turn after each resource of a list', async () => {
    const items = Array.from({ length: 40 }, (_, index) => routes(20).replace('long', `long${index}`))
    const text = `kind: List\nitems:\n${items.map((item) => `- ${item.trimEnd().replaceAll('\n', '\n  ')}\n`).join('')}`
    const store = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP' } as ConstructorParameters<
      typeof RuleStore
    >[0])
    let turns = 0
    await store.readAhead('s', [{ name: 'd', text }], async () => void turns++)
    expect(turns).to.be.at.least(items.length)
    expect(store.replaceSource('s', [{ name: 'd', text }]).statuses).to.have.length(items.length)
  })

  it('does not hold up the loop, and gives the same rules', async () => {
    let most = 1
    while (yamlTextProblem(routes(most + 100)) === undefined) most += 100
    const documents = [{ name: 'd', text: routes(most) }]
    const options = { namespace: 'public', group: 'DEFAULT_GROUP' } as ConstructorParameters<typeof RuleStore>[0]
    const near = new RuleStore(options)
    const began = performance.now()
    near.replaceSource('s', documents)
    const here = performance.now() - began
    const far = new RuleStore({ ...options, readFar: readInThread })
    expect(far.isLong('s', documents)).to.equal(true)
    let [last, longest, turns] = [performance.now(), 0, 0]
    const look = setInterval(() => {
      const now = performance.now()
      longest = Math.max(longest, now - last)
      last = now
      turns++
    }, 1)
    await far.readAhead('s', documents, () => new Promise((resolve) => setImmediate(resolve)))
    const { statuses } = far.replaceSource('s', documents)
    clearInterval(look)
    expect(statuses.map(({ state, problems }) => [state, problems])).to.deep.equal([['applied', []]])
    const key = 'public/DEFAULT_GROUP@@orders'
    expect(far.virtualHost(key)).to.deep.equal(near.virtualHost(key))
    expect(turns).to.be.greaterThan(10)
    expect(longest, `of ${here} ms in one go`).to.be.lessThan(here / 2)
  })

  it('is long by its bytes or by its nodes', () => {
    expect(isLongYaml(routes(20))).to.equal(false)
    expect(isLongYaml(routes(400))).to.equal(true)
    expect(isLongYaml(`a: [${'1,'.repeat(1100)}]`)).to.equal(true)
    expect(isLongYaml(`a: ${'word '.repeat(8000)}`)).to.equal(true)
  })

  describe('whose thread dies', () => {
    let folder: string
    before(() => (folder = mkdtempSync(join(tmpdir(), 'hm-thread-'))))
    after(() => rmSync(folder, { recursive: true, force: true }))

    for (const [how, script, message] of [
      ['does not end', 'for (;;) ;', /^cannot be read: not read after 300 ms/],
      ['needs too much memory', 'const all = []; for (;;) all.push(new Array(10_000).fill(all))', /memory/],
      ['throws', 'throw new Error("broken inside")', /broken inside/],
      ['ends early', 'process.exit(0)', /its thread ended with 0/],
    ] as const)
      it(`(it ${how}) is refused, and nothing else ends`, async () => {
        const entry = join(folder, 'thread.cjs')
        writeFileSync(entry, script)
        const deadlineMs = how === 'does not end' ? 300 : 10_000
        const [read, ...others] = await readInThread('a: 1', { entry, deadlineMs, memoryMb: 32 })
        expect(others).to.deep.equal([])
        expect(read).to.have.property('problem')
        expect((read as { problem: { message: string } }).problem.message).to.match(message)
      })
  })
})
