/** Control's own numbers, in the same shape as a worker's, so that one merge and one writer serve all. */
import type { StatSeries } from '../../contracts/control-link.ts'
import type { AdapterMetrics } from '../../contracts/registry-adapter.ts'
import { metricTexts } from './metric-texts.ts'

interface Metric {
  readonly kind: 'counter' | 'gauge'
  readonly labelNames: readonly string[]
  readonly samples: Map<string, { labels: readonly string[]; value: number }>
}

/** Label sets of one metric; more are not counted, and `hostmesh_metric_overflows_total` tells. */
const maxSamplesPerMetric = 10_000

export class ControlMetrics implements AdapterMetrics {
  private readonly metrics = new Map<string, Metric>()
  private overflows = 0

  count(name: string, labels: Readonly<Record<string, string>>, amount = 1): void {
    const sample = this.sample(`hostmesh_${name}_total`, 'counter', labels)
    if (sample !== undefined) sample.value += amount
  }

  gauge(name: string, labels: Readonly<Record<string, string>>, value: number): void {
    const sample = this.sample(`hostmesh_${name}`, 'gauge', labels)
    if (sample !== undefined) sample.value = value
  }

  /** Forgets the samples of a gauge, before they are set anew. */
  clear(name: string): void {
    this.metrics.delete(`hostmesh_${name}`)
  }

  series(): StatSeries[] {
    const made = [...this.metrics].map(([name, metric]): StatSeries => ({
      name,
      kind: metric.kind,
      help: metricTexts[name] ?? 'see docs/metrics.md',
      labelNames: metric.labelNames,
      samples: [...metric.samples.values()],
    }))
    if (this.overflows > 0)
      made.push({
        name: 'hostmesh_metric_overflows_total',
        kind: 'counter',
        help: metricTexts['hostmesh_metric_overflows_total']!,
        labelNames: [],
        samples: [{ labels: [], value: this.overflows }],
      })
    return made
  }

  private sample(name: string, kind: 'counter' | 'gauge', labels: Readonly<Record<string, string>>) {
    let metric = this.metrics.get(name)
    if (metric === undefined) {
      metric = { kind, labelNames: Object.keys(labels), samples: new Map() }
      this.metrics.set(name, metric)
    }
    const values = metric.labelNames.map((label) => labels[label] ?? '')
    const key = values.join('\u0000')
    let sample = metric.samples.get(key)
    if (sample === undefined) {
      if (metric.samples.size >= maxSamplesPerMetric) {
        this.overflows++
        return undefined
      }
      sample = { labels: values, value: 0 }
      metric.samples.set(key, sample)
    }
    return sample
  }
}
