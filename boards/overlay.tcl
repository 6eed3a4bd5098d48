# What every build needs, whatever its block design: checks, phases, reports as numbers, and the end of the flow.
#
# Where Vivado's versions differ, in this one place (2020.1 to 2025.x):
#   generated files     2020.1 writes them below .srcs, 2020.2 and later below .gen: handoff_file looks in both
#   zynq_ultra_ps_e     3.3 to 3.5: its VLNV is given without a version, which takes the one that is there
# Everything else is used in a form that all of them take. axi_interconnect, deprecated since 2025, is not used.

namespace eval cdg {
  # apart from Vivado's own names, of which there are thousands
  variable roots {.gen .srcs}
  variable oldest 2020
  variable newest 2025
}

proc cdg::phase {name} {
  puts "codesign: phase $name"
  flush stdout
}

# Stops for a version that is too old, and says so of one that nobody has tried.
proc cdg::check_version {} {
  variable oldest
  variable newest
  if {[scan [version -short] {%d.%d} year minor] != 2} {
    error "cannot read the version of Vivado: [version -short]"
  }
  if {$year < $oldest} {
    error "Vivado [version -short] is too old: 2020.1 is the oldest that this build is written for"
  }
  if {$year > $newest} {
    puts "codesign: Vivado [version -short] is newer than any that this build is written for"
  }
}

# A property after the tool has worked it out: validation may silently overrule what was set.
proc cdg::expect {cell property wanted} {
  set found [get_property $property [get_bd_cells $cell]]
  if {$found ne $wanted} {
    error "$cell $property is $found, not $wanted"
  }
}

# The fabric clock: the divider that the .hwh will tell pynq to set, and the frequency that timing is analysed for.
proc cdg::expect_clock {cell frequency divisors mhz divisor} {
  set found [get_property $frequency [get_bd_cells $cell]]
  if {abs($found - $mhz) > 0.0005 * $mhz} {
    error "$cell runs the fabric at $found MHz, not at $mhz MHz: is the board's PLL set up as its file says?"
  }
  set product 1
  foreach property $divisors {
    set product [expr {$product * [get_property $property [get_bd_cells $cell]]}]
  }
  if {$product != $divisor} {
    error "$cell divides its PLL by $product, not by $divisor: is the board's PLL set up as its file says?"
  }
}

# The file of this name below the folder; empty without. Its place in there has changed with versions.
proc cdg::find_below {folder name} {
  if {[file isfile [file join $folder $name]]} {
    return [file join $folder $name]
  }
  foreach below [glob -nocomplain -directory $folder -types d *] {
    set found [find_below $below $name]
    if {$found ne ""} {
      return $found
    }
  }
  return ""
}

proc cdg::handoff_file {design} {
  variable roots
  foreach root $roots {
    set found [find_below $root $design.hwh]
    if {$found ne ""} {
      return $found
    }
  }
  error "Vivado wrote no $design.hwh below [join $roots { or }]"
}

proc cdg::read_text {path} {
  set file [open $path r]
  set text [read $file]
  close $file
  return $text
}

proc cdg::write_text {path text} {
  set file [open $path w]
  puts -nonewline $file $text
  close $file
}

# A number of a report as JSON; NA, and a row that is not there, as null.
proc cdg::number {text} {
  if {[string is double -strict $text]} {
    return $text
  }
  return null
}

proc cdg::object {pairs} {
  set members {}
  foreach {key value} $pairs {
    lappend members "\"$key\": $value"
  }
  return "{[join $members {, }]}"
}

# The first table of report_timing_summary: worst and total slack, failing and all endpoints, of setup, hold and pulse.
proc cdg::timing_figures {report} {
  set names {wns_ns tns_ns setup_failing setup_endpoints whs_ns ths_ns hold_failing hold_endpoints
             wpws_ns tpws_ns pulse_failing pulse_endpoints}
  set lines [split $report "\n"]
  set heading [lsearch -regexp $lines {^\s+WNS\(ns\)\s}]
  set values [regexp -all -inline {\S+} [lindex $lines [expr {$heading + 2}]]]
  if {$heading < 0 || [llength $values] != [llength $names]} {
    error "report_timing_summary has no summary of the form that is known here"
  }
  set pairs {}
  foreach name $names value $values {
    lappend pairs $name [number $value]
  }
  return $pairs
}

# Whether setup, hold and pulse width are all met. A design without timed paths has lost its clock: not met.
proc cdg::timing_met {figures} {
  foreach name {wns_ns whs_ns wpws_ns} {
    set slack [dict get $figures $name]
    if {$slack eq "null" || $slack < 0} {
      return false
    }
  }
  foreach name {setup_failing hold_failing pulse_failing} {
    if {[dict get $figures $name] != 0} {
      return false
    }
  }
  return true
}

# Cells of report_utilization. 7 series have no row of URAM; other names are those of UltraScale+.
proc cdg::cell_figures {report} {
  set pairs {}
  foreach {name row} {
    lut  {(?:Slice|CLB) LUTs\*?}
    ff   {(?:Slice|CLB) Registers}
    bram {Block RAM Tile}
    dsp  {DSPs}
    uram {URAM}
  } {
    set found null
    regexp -line "^\\|\\s+$row\\s+\\|\\s+(\[\\d.\]+)\\s+\\|" $report whole found
    lappend pairs $name [number $found]
  }
  if {[dict get $pairs lut] eq "null"} {
    error "report_utilization has no row of LUTs of the form that is known here"
  }
  return $pairs
}

# Power as report_power estimates it from assumed toggle rates.
proc cdg::power_figures {report} {
  set pairs {}
  foreach {name row} {
    total_w   {Total On-Chip Power \(W\)}
    dynamic_w {Dynamic \(W\)}
    static_w  {Device Static \(W\)}
  } {
    if {![regexp -line "^\\|\\s+$row\\s+\\|\\s+<?(\[\\d.\]+)" $report whole found]} {
      error "report_power has no row $row"
    }
    lappend pairs $name $found
  }
  regexp -line {^\|\s+Confidence Level\s+\|\s+(\w+)} $report whole level
  lappend pairs confidence "\"$level\""
  return $pairs
}

# Reports of the routed design, as files and as metrics.json; timing that is not met ends the build here.
proc cdg::measure {part stem mhz core} {
  file mkdir reports
  report_timing_summary -file reports/timing.rpt
  report_utilization -file reports/utilization.rpt
  report_power -file reports/power.rpt
  set timing [timing_figures [read_text reports/timing.rpt]]
  set met [timing_met $timing]
  set accelerator null
  # alone, to hold against what was synthesized without the shell; null should synthesis have dissolved its boundary
  if {[llength [get_cells -quiet $core]] == 1} {
    report_utilization -cells [get_cells -quiet $core] -file reports/accelerator.rpt
    set accelerator [object [cell_figures [read_text reports/accelerator.rpt]]]
  }
  write_text metrics.json "[object [list \
    format 1 \
    vivado "\"[version -short]\"" \
    part "\"$part\"" \
    stem "\"$stem\"" \
    clock_mhz $mhz \
    timing_met $met \
    timing [object $timing] \
    cells [object [cell_figures [read_text reports/utilization.rpt]]] \
    accelerator $accelerator \
    power [object [power_figures [read_text reports/power.rpt]]]]]\n"
  if {!$met} {
    error "timing is not met: slack of setup [dict get $timing wns_ns] ns, of hold [dict get $timing whs_ns] ns,\
      of pulse width [dict get $timing wpws_ns] ns; no bitstream is written"
  }
}

# Synthesis to bitstream of the block design, which is open and complete.
proc cdg::implement {design part stem mhz core} {
  phase "generation"
  set source [get_files $design.bd]
  # all of it at once: there are no runs outside a project
  set_property synth_checkpoint_mode None $source
  generate_target all $source
  read_verilog [make_wrapper -files $source -top]
  update_compile_order -fileset sources_1
  phase "synthesis"
  synth_design -top ${design}_wrapper -part $part
  phase "placement"
  opt_design
  place_design
  phys_opt_design
  phase "routing"
  route_design
  phase "reports"
  measure $part $stem $mhz $core
  phase "bitstream"
  write_bitstream -force $stem.bit
  # pynq takes the .hwh beside the .bit, by the same name
  file copy -force [handoff_file $design] $stem.hwh
}
