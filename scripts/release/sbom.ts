/**
 * The bill of materials: npm's own CycloneDX list of what a release contains, without what differs from run to run or
 * names a registry.
 */
import { createHash } from 'node:crypto'
import { type Release, run } from './staging.ts'

interface Bill {
  serialNumber?: string
  metadata: { timestamp?: string; component: { 'bom-ref': string } }
  components: { 'bom-ref': string; type?: string; externalReferences?: { type: string }[] }[]
  dependencies: { ref: string; dependsOn?: string[] }[]
}

/**
 * @param packages `NAME@VERSION` of what the release holds: of other packages that npm has installed it says nothing.
 */
export function billOfMaterials(release: Release, packages: ReadonlySet<string>): string {
  const words = ['sbom', '--omit=dev', '--sbom-format=cyclonedx', '--sbom-type=application']
  const bill = JSON.parse(run('npm', words)) as Bill
  bill.components = bill.components.filter((component) => packages.has(component['bom-ref']))
  const known = new Set([bill.metadata.component['bom-ref'], ...packages])
  bill.dependencies = bill.dependencies
    .filter(({ ref }) => known.has(ref))
    .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((one) => known.has(one)) }))
  for (const component of bill.components)
    component.externalReferences = component.externalReferences?.filter(({ type }) => type !== 'distribution') ?? []
  bill.metadata.timestamp = new Date(release.time * 1000).toISOString()
  delete bill.serialNumber
  const digest = createHash('sha256').update(JSON.stringify(bill)).digest('hex')
  bill.serialNumber = `urn:uuid:${digest.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-5$3-8$4-$5')}`
  return `${JSON.stringify(bill, undefined, 2)}\n`
}
